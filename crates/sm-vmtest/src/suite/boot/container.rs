//! A container whose traces are looked for later: its image, what it wrote into itself, and what it wrote into a volume. The image
//! is made of the host's own programs, so nothing is fetched.

use std::time::Duration;

use crate::suite::{finding::Stop, machine::Machine};

/// How long making and running it takes, at most, on a guest's own processor.
const RUN: Duration = Duration::from_secs(20);

/// Makes the image, runs it once, and leaves the container behind.
const PREPARE: &str = r#"
set -eu
work=$(mktemp -d)
mkdir -p "$work/root/usr/bin" /var/lib/volume
cd "$work/root"
for program in bash cat; do
    cp /usr/bin/$program usr/bin/
    for library in $(ldd /usr/bin/$program | grep -o '/[^ ]*'); do
        to="usr${library#/usr}"
        mkdir -p "${to%/*}"
        cp -L "$library" "$to"
    done
done
for dir in bin lib lib64; do [ ! -d usr/$dir ] || ln -s usr/$dir $dir; done
tar -C "$work/root" -cf "$work/layer.tar" .
digest=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
cd "$work"
arch=amd64; [ "$(uname -m)" = x86_64 ] || arch=arm64
echo "{\"architecture\":\"$arch\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}}" > config.json
echo '[{"Config":"config.json","RepoTags":["localhost/kept:1"],"Layers":["layer.tar"]}]' > manifest.json
tar -cf image.tar manifest.json config.json layer.tar
ctr images import image.tar
ctr containers create --mount type=bind,src=/var/lib/volume,dst=/volume,options=rbind:rw localhost/kept:1 kept \
    /usr/bin/bash -c 'read -r a 2>/dev/null < /inside; read -r b 2>/dev/null < /volume/outside; echo "found ${a:-nothing} ${b:-nothing}"; echo written > /inside; echo written > /volume/outside'
ctr tasks start kept
ctr tasks delete kept 2>/dev/null || true
rm -r "$work"
sync
"#;

/// Tells what is left of it, and starts it again.
const LOOK: &str = r#"
echo "image $(ctr images ls -q | tr '\n' ' ')"
echo "container $(ctr containers ls -q | tr '\n' ' ')"
ctr tasks start kept 2>&1
ctr tasks delete kept 2>/dev/null || true
"#;

/// What a container that is run for the first time finds.
const NOTHING: &str = "found nothing nothing";
/// What is there when everything is.
const EVERYTHING: [&str; 3] = ["image localhost/kept:1", "container kept", "found written written"];

/// Makes and runs it.
pub(super) fn prepare(machine: &mut Machine<'_>) -> Result<(), Stop> {
    let answer = machine.run(PREPARE, RUN)?;
    if answer.is_success() && answer.output.contains(NOTHING) {
        Ok(())
    } else {
        Err(Stop::Broken(format!("no container could be run ({}): {}", answer.exit, answer.output.trim())))
    }
}

/// What is missing of it.
pub(super) fn missing(machine: &mut Machine<'_>, when: &str) -> Result<Vec<String>, Stop> {
    let answer = machine.run(LOOK, RUN)?;
    Ok(judge(&answer.output).into_iter().map(|problem| format!("{when}, {problem}")).collect())
}

fn judge(said: &str) -> Vec<String> {
    let is_there = |wanted: &str| said.lines().any(|line| line.trim() == wanted);
    let missing = EVERYTHING.iter().filter(|wanted| !is_there(wanted));
    missing.map(|wanted| format!("`{wanted}` is not there: {}", said.trim().replace('\n', " | "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_lost_something_is_told() {
        let said = "image localhost/kept:1 \ncontainer kept \nfound written written\n";
        assert_eq!(judge(said), [""; 0]);
        assert!(
            judge(&said.replace("written written", "nothing written"))[0]
                .starts_with("`found written written` is not")
        );
        assert_eq!(judge("image \ncontainer \nctr: not found").len(), 3);
    }
}
