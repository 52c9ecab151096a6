//! Partition types that machines find by themselves (UAPI.2, Discoverable Partitions Specification).

use sm_model::Arch;

use crate::Guid;

/// EFI system partition.
pub const ESP: Guid = Guid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);

/// Root file system.
pub const fn root(arch: Arch) -> Guid {
    Guid::from_u128(match arch {
        Arch::Amd64 => 0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
        Arch::Arm64 => 0xb921b045_1df0_41c3_af44_4c6f280d3fae,
    })
}

/// File system of /usr.
pub const fn usr(arch: Arch) -> Guid {
    Guid::from_u128(match arch {
        Arch::Amd64 => 0x8484680c_9521_48c6_9c11_b0720656f69e,
        Arch::Arm64 => 0xb0e01050_ee5f_4390_949a_9101b17104e9,
    })
}

/// dm-verity tree of /usr.
pub const fn usr_verity(arch: Arch) -> Guid {
    Guid::from_u128(match arch {
        Arch::Amd64 => 0x77ff5f63_e7b6_4633_acf4_1565b864c0e6,
        Arch::Arm64 => 0x6e11a4e7_fbca_4ded_b9e9_e1a512bb664e,
    })
}
