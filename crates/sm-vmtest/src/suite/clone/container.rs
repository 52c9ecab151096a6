//! `container.run`: a container runs within its limits. Its image is made of the host's own programs, so nothing is fetched.

use std::time::Duration;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long making the image and a dozen runs take on a guest's own processor, at most.
const RUNS: Duration = Duration::from_secs(60);

/// Makes an image of `bash` and a few others with their libraries, as `docker save` writes one, and imports it.
const MAKE_IMAGE: &str = r#"
set -eu
work=$(mktemp -d)
mkdir -p "$work/root/usr/bin" "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"
cd "$work/root"
for program in bash cat sleep id; do
    cp /usr/bin/$program usr/bin/
    for library in $(ldd /usr/bin/$program | grep -o '/[^ ]*'); do
        to="usr${library#/usr}"
        mkdir -p "${to%/*}"
        cp -L "$library" "$to"
    done
done
for dir in bin lib lib64; do [ ! -d usr/$dir ] || ln -s usr/$dir $dir; done
tar -cf "$work/layer.tar" .
cd "$work"
digest=$(sha256sum layer.tar | cut -d ' ' -f 1)
arch=amd64; [ "$(uname -m)" = x86_64 ] || arch=arm64
echo "{\"architecture\":\"$arch\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}}" > config.json
echo '[{"Config":"config.json","RepoTags":["localhost/try:1"],"Layers":["layer.tar"]}]' > manifest.json
tar -cf image.tar manifest.json config.json layer.tar
ctr images import image.tar
cd /
rm -r "$work"
"#;

/// Runs containers, and tells what came of each.
const RUN: &str = r#"
volume=/var/lib/try-volume; mkdir -p $volume; chmod 0777 $volume
run() { name=$1; options=$2; script=$3
    ctr run --rm $options localhost/try:1 try-$name /usr/bin/bash -c "$script" 2>/run/try-error | sed "s/^/$name says /"
    echo "$name ended ${PIPESTATUS[0]}"; [ ! -s /run/try-error ] || sed "s/^/$name error /" /run/try-error; }
run exit '' 'exit 42'
run volume "--mount type=bind,src=$volume,dst=/volume,options=rbind:rw" 'echo from inside > /volume/file; read -r line < /volume/file; echo "$line"'
echo "volume holds $(cat $volume/file)"
run memory '--memory-limit 33554432' 'a=xxxxxxxx; while :; do a=$a$a; done'
run read-only '--read-only' 'echo x > /file && echo written || echo refused'
run seccomp '--seccomp' 'while read -r key value; do [ "$key" = Seccomp: ] && echo "mode $value"; done < /proc/self/status'
run capabilities '' 'while read -r key value; do [ "$key" = CapEff: ] && echo "caps $value"; done < /proc/self/status'
run user "--uidmap 0:100000:65536 --gidmap 0:100000:65536 --mount type=bind,src=$volume,dst=/volume,options=rbind:rw" 'id -u; echo x > /volume/mapped'
echo "user owns $(stat -c %u $volume/mapped 2>/dev/null)"
run others '' 'read -r line < /proc/1/comm; echo "first $line"; cat /etc/boxcar/update.conf /usr/lib/os-release 2>/dev/null | cat'
ctr run --detach --memory-limit 33554432 localhost/try:1 try-kept /usr/bin/sleep 1000
echo "memory says $(cat /sys/fs/cgroup/default/try-kept/memory.max)"
echo "controllers $(cat /sys/fs/cgroup/default/try-kept/cgroup.controllers)"
echo "door $(stat -c '%a %U:%G' /run/containerd/containerd.sock)"
before=$(ctr tasks ls | grep '^try-kept ')
systemctl restart containerd
after=$(ctr tasks ls | grep '^try-kept ')
echo "kept before $before"; echo "kept after $after"
ctr tasks kill --signal SIGKILL try-kept; sleep 1; ctr tasks delete try-kept; ctr containers delete try-kept
echo "left $(ctr containers ls -q | tr '\n' ' ')"
"#;

/// Makes the image and runs the containers.
pub fn run(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    bench.phase("image");
    let made = machine.run(MAKE_IMAGE, RUNS)?;
    bench.note(&made.output);
    let mut findings = Findings::of("eight containers, and one that outlives its daemon");
    findings.require(made.is_success(), || format!("no image could be imported: {}", made.output.trim()));
    if findings.problems.is_empty() {
        bench.phase("run");
        let ran = machine.run(RUN, RUNS)?;
        bench.note(&ran.output);
        judge(&ran.output, &mut findings);
    }
    Ok(findings)
}

fn judge(said: &str, findings: &mut Findings) {
    /// What a container can be held to (`cgroups(7)`).
    const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];
    /// CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO (capability.h): whoever has one of them is root outside, too.
    const FORBIDDEN_CAPABILITIES: u64 = 1 << 21 | 1 << 16 | 1 << 17;
    let after = |word: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(word))
            .map(|rest| rest.trim().to_owned())
            .unwrap_or_default()
    };
    let mut equal = |what: &str, word: &str, expected: &str| {
        findings.expect_equal(what, after(word).as_str(), expected);
    };
    equal("the exit status of a container that ends with 42", "exit ended ", "42");
    equal("what a container reads from its volume", "volume says ", "from inside");
    equal("what a container wrote into its volume", "volume holds ", "from inside");
    equal("the memory that a container may have", "memory says ", "33554432");
    equal("the end of a container that takes more memory", "memory ended ", "137");
    equal("writing into a read-only container", "read-only says ", "refused");
    equal("the filter of system calls", "seccomp says ", "mode 2");
    equal("the user inside a user namespace", "user says ", "0");
    equal("that user outside", "user owns ", "100000");
    equal("what a container sees of its host", "others says ", "first bash");
    equal("containers that are left behind", "left", "");
    equal("mode and owner of the daemon's socket", "door ", "660 root:root");
    let counted = after("controllers ");
    let uncounted = CONTROLLERS.iter().filter(|wanted| !counted.split(' ').any(|found| found == **wanted));
    findings
        .problems
        .extend(uncounted.map(|name| format!("containers have no limits of `{name}`: only of `{counted}`")));
    let capabilities = u64::from_str_radix(after("capabilities says caps ").as_str(), 16);
    findings.require(capabilities.is_ok_and(|caps| caps & FORBIDDEN_CAPABILITIES == 0), || {
        format!("a container has the capabilities {}", after("capabilities says caps "))
    });
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (before, later) = (words(after("kept before ")), words(after("kept after ")));
    findings.require(before.last().is_some_and(|state| state == "RUNNING") && before == later, || {
        format!(
            "a container was `{}` and is `{}` after a restart of its daemon",
            before.join(" "),
            later.join(" ")
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
exit ended 42
volume says from inside
volume ended 0
volume holds from inside
memory says 33554432
memory ended 137
read-only says refused
seccomp says mode 2
capabilities says caps 00000000a80425fb
user says 0
user owns 100000
others says first bash
controllers cpuset cpu io memory hugetlb pids
door 660 root:root
kept before try-kept    912    RUNNING
kept after try-kept    912    RUNNING
left 
";

    fn problems(said: &str) -> Vec<String> {
        let mut findings = Findings::default();
        judge(said, &mut findings);
        findings.problems
    }

    #[test]
    fn containers_within_their_limits_are_good() {
        assert_eq!(problems(SAID), [""; 0]);
    }

    #[test]
    fn each_limit_that_does_not_hold_is_told() {
        for (from, to) in [
            ("ended 42", "ended 0"),
            ("memory ended 137", "memory ended 0"),
            ("says refused", "says written"),
            ("mode 2", "mode 0"),
            ("00000000a80425fb", "000001ffffffffff"),
            ("user owns 100000", "user owns 0"),
            ("kept after try-kept    912", "kept after try-kept    1044"),
            ("kept after try-kept    912    RUNNING", "kept after "),
            ("first bash", "first systemd"),
            ("left ", "left try-memory"),
            ("cpuset cpu io", "cpuset io"),
            ("door 660", "door 666"),
        ] {
            assert_eq!(problems(&SAID.replace(from, to)).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn containers_that_did_not_run_are_not_good() {
        assert!(problems("").len() >= 11);
    }
}
