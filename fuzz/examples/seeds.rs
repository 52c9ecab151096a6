//! Writes every seed to `corpus/TARGET/NAME`, where cargo-fuzz starts from.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for seed in stationmaster_fuzz::seeds() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(seed.target);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(seed.name), seed.bytes)?;
    }
    Ok(())
}
