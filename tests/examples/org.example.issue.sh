#!/bin/sh
# /// task
# api = 1
# heading = "Show name and owner above the login prompt"
# phase = "filesystems"
# after = ["hostname"]
#
# [options.owner]
# kind = "str"
# help = "whom to call"
# default = "the people of example.org"
# ///
#
# What is printed goes to the node's log; 77 means that there is nothing to do.
set -eu

issue="$HELPER_ROOT/etc/issue"
if [ -f "$issue" ] && grep -qs "^$INSTANCE_NAME " "$issue"; then
    echo "it is there already"
    exit 77
fi
# a symlink of the image must not lead this program elsewhere, so the file is made anew
rm -f "$issue"
cat >"$issue" <<END
$INSTANCE_NAME (\\l), a machine of $HELPER_OPTION_owner

END
echo "/etc/issue names $HELPER_OPTION_owner"
