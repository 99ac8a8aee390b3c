/* First program of the helper: makes the read-only root visible and hands over to the agent, which stays PID 1.
 *
 * A program rather than a busybox script: that needed 25 processes, and each costs 10 to 20 ms under emulation. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT_SERIAL "helper-root" /* protocol.ROOT_SERIAL */
#define READ_AHEAD_KB "2048"
#define WAIT_STEP_US 2000
#define WAIT_STEPS 5000 /* ten seconds in all */

/* PID 1 ends, so the kernel panics, and the node sees that. */
static void fail(const char *what)
{
    fprintf(stderr, "helper: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void attach(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
    if (mount(source, target, type, flags, options) != 0)
        fail(target);
}

/* Loads all modules in a folder; their names begin with a number that gives the order. */
static void load_modules(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[512];
        if (entries[i]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        /* ENODEV: crc32c-intel on a processor without it. */
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != ENODEV))
            fail(path);
        close(file);
    }
}

static int has_entries(const char *folder)
{
    int count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    if (entries)
        closedir(entries);
    return count;
}

static int is_root(const char *disk)
{
    char path[512], serial[32] = "";
    snprintf(path, sizeof path, "/sys/block/%s/serial", disk);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, serial, sizeof serial - 1);
    close(file);
    if (length > 0 && serial[length - 1] == '\n')
        serial[length - 1] = 0;
    return strcmp(serial, ROOT_SERIAL) == 0;
}

/* CPython, its libraries and the agent are read in many small pieces, and each request costs an emulated guest more
 * than the bytes do. Without the knob it is only slower. */
static void read_ahead(const char *disk)
{
    char path[512];
    snprintf(path, sizeof path, "/sys/block/%s/queue/read_ahead_kb", disk);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (write(file, READ_AHEAD_KB, strlen(READ_AHEAD_KB)) < 0)
        fprintf(stderr, "helper: %s: %s\n", path, strerror(errno));
    close(file);
}

/* Mounts the disk with the root's serial; disks may appear a little after their driver has been loaded. */
static void mount_root(void)
{
    for (int i = 0; i < WAIT_STEPS; i++) {
        DIR *disks = opendir("/sys/block");
        for (struct dirent *entry; disks && (entry = readdir(disks));) {
            char path[512];
            if (strncmp(entry->d_name, "vd", 2) != 0 || !is_root(entry->d_name))
                continue;
            read_ahead(entry->d_name);
            snprintf(path, sizeof path, "/dev/%s", entry->d_name);
            attach(path, "/root", "erofs", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL);
            closedir(disks);
            return;
        }
        if (disks)
            closedir(disks);
        usleep(WAIT_STEP_US);
    }
    errno = ENODEV;
    fail("no disk with the serial " ROOT_SERIAL);
}

int main(void)
{
    static char *const argv[] = {"/usr/bin/python3", "-I", "-S", "-B", "/usr/lib/helper-agent/main.py", NULL};
    static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C.UTF-8", NULL};

    attach("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755");
    attach("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    attach("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    load_modules("/modules/boot");
    if (has_entries("/sys/bus/pci/devices")) /* q35; microvm has none */
        load_modules("/modules/pci");
    mount_root();
    attach("/dev", "/root/dev", NULL, MS_MOVE, NULL);
    attach("/sys", "/root/sys", NULL, MS_MOVE, NULL);
    attach("/proc", "/root/proc", NULL, MS_MOVE, NULL);
    attach("run", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    /* The initramfs stays below, unreachable; emptying it would free a megabyte. */
    if (chdir("/root") != 0)
        fail("chdir");
    attach(".", "/", NULL, MS_MOVE, NULL);
    if (chroot(".") != 0)
        fail("chroot");
    execve(argv[0], argv, environment);
    fail(argv[0]);
}
