//! The smallest PE32+ files that can be a boot stub and a kernel.

/// A file for x86-64 with sections of these names and contents.
pub fn pe(sections: &[(&[u8; 8], &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &64u32.to_le_bytes());
    put(64, b"PE\0\0\x64\x86");
    put(70, &(sections.len() as u16).to_le_bytes());
    put(84, &152u16.to_le_bytes());
    put(88, &0x20bu16.to_le_bytes());
    put(120, &4096u32.to_le_bytes());
    put(124, &512u32.to_le_bytes());
    put(144, &(4096 * (sections.len() as u32 + 1)).to_le_bytes());
    put(148, &512u32.to_le_bytes());
    for (i, (name, content)) in (0u32..).zip(sections) {
        let len = content.len() as u32;
        let fields = [len, 4096 * (i + 1), len.next_multiple_of(512), file.len() as u32];
        let entry = 240 + 40 * i as usize;
        file[entry..entry + 8].copy_from_slice(*name);
        for (at, field) in (entry + 8..).step_by(4).zip(fields) {
            file[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(content);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file
}

/// A stub as systemd ships it.
pub fn stub() -> Vec<u8> {
    pe(&[(b".text\0\0\0", &[0x90; 64]), (b".sbat\0\0\0", b"sbat,1,x\nsystemd-stub,1,y\n\0")])
}

/// A kernel with an EFI stub of its own.
pub fn kernel() -> Vec<u8> {
    pe(&[(b".text\0\0\0", &[0xcc; 64])])
}
