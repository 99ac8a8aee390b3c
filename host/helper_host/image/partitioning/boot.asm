; Boot code of an msdos partition table: starts the system whose boot sector is in the active partition
;
; The BIOS loads the disk's first sector to 0:7C00 and jumps there, with the disk's number in DL (BIOS Boot
; Specification 1.01). This code moves itself to 0:0600, finds the entry that is marked active, reads the partition's
; first sector to 0:7C00, and jumps there with DL as it was, and DS:SI and DS:BP at the entry: what boot sectors expect.
; It reads by number of the sector (int 13h, function 42h), and by cylinder, head and sector, in the disk's own
; geometry, where the BIOS can't do that.
;
; nasm -f bin -o boot.bin boot.asm; the bytes are in boot_code.py, and a test holds both equal.

        bits 16
        cpu 386

loaded  equ 0x7c00
moved   equ 0x0600
table   equ moved + 446
room    equ 440                 ; bytes before the disk's signature
active  equ 0x80
tries   equ 3

        org moved

        cli
        xor ax, ax
        mov ss, ax
        mov sp, loaded
        sti
        mov ds, ax
        mov es, ax
        cld
        mov si, loaded
        mov di, moved
        mov cx, 256
        rep movsw
        jmp 0:find

; --- the one active entry ------------------------------------------------------------------------------------------

find:
        mov si, table
        xor bp, bp
        mov cl, 4               ; ch is 0 since the copy
.entry:
        cmp byte [si], 0
        je .next
        cmp byte [si], active
        jne bad_table
        test bp, bp
        jnz bad_table
        mov bp, si
.next:
        add si, 16
        loop .entry
        mov si, no_active
        test bp, bp
        jz fail

; --- its first sector ----------------------------------------------------------------------------------------------

        mov di, tries
.again:
        mov ah, 0x41            ; are there functions that take a sector's number?
        mov bx, 0x55aa
        push dx
        int 0x13
        pop dx
        jc .by_geometry
        cmp bx, 0xaa55
        jne .by_geometry
        test cl, 1
        jz .by_geometry

        xor eax, eax
        push eax                ; the packet, from its end: number of the sector, 64 bits
        push dword [bp + 8]
        push ax                 ; where to: segment
        push word loaded        ; and offset
        push word 1             ; sectors
        push word 16            ; the packet's length
        mov si, sp
        mov ah, 0x42
        push dx
        int 0x13
        pop dx
        lea sp, [si + 16]
        jmp short .done

.by_geometry:
        push dx
        push di
        mov ah, 0x08            ; the geometry: last head in dh, sectors of a track in cl
        int 0x13
        pop di
        push ds                 ; for a floppy disk it sets es
        pop es
        movzx ebx, dh
        pop dx
        jc .done
        inc bx
        and ecx, 0x3f
        jz .failed
        push dx
        xor edx, edx
        mov eax, [bp + 8]
        div ecx
        mov cl, dl              ; sector, from 0
        xor edx, edx
        div ebx                 ; eax: cylinder, dl: head
        mov ch, dl
        cmp eax, 1023
        pop dx
        ja .failed
        xchg dh, ch             ; head; ch is free
        mov ch, al              ; cylinder, its upper two bits above the sector
        inc cx
        shl ah, 6
        or cl, ah
        mov bx, loaded
        mov ax, 0x0201
        push dx
        int 0x13
        pop dx
.done:
        jnc .read
.failed:
        xor ah, ah              ; reset, and once more
        push dx
        int 0x13
        pop dx
        dec di
        jnz .again
        mov si, no_sector
        jmp short fail

; --- and go --------------------------------------------------------------------------------------------------------

.read:
        mov si, no_system
        cmp word [loaded + 510], 0xaa55
        jne fail
        mov si, bp
        jmp 0:loaded

bad_table:
        mov si, no_table
fail:
        lodsb
        test al, al
        jz .end
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp short fail
.end:
        int 0x18                ; the BIOS goes on with what else can be booted
.halt:
        hlt
        jmp short .halt

no_table:  db "The partition table is damaged", 13, 10, 0
no_active: db "No partition is active", 13, 10, 0
no_sector: db "The active partition can't be read", 13, 10, 0
no_system: db "The active partition has no boot sector", 13, 10, 0

%if $ - $$ > room
%error "the code is larger than the room for it"
%endif
