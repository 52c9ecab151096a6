//! The plan of a release: what the recipe does not allow is refused, and days are counted from its epoch.

use std::sync::LazyLock;

use proptest::prelude::*;
use sm_model::{Arch, Channel, Timestamp, Version};

use super::{RECIPE, load_texts};
use crate::recipe::{Choices, Os, PlanError};

fn choices() -> Choices {
    Choices {
        arch: Arch::Amd64,
        channel: Channel::Stable,
        version: "4893.2.0".parse().unwrap(),
        source_date: "2026-11-23T00:00:00Z".parse().unwrap(),
        payload_key_pem: None,
    }
}

#[test]
fn the_recipes_own_key_is_used_unless_another_is_given() {
    let recipe = load_texts(RECIPE, &[]).unwrap();
    assert_eq!(recipe.plan(choices()).unwrap().payload_key_pem, "-----BEGIN PUBLIC KEY-----\n");
    let other = Choices { payload_key_pem: Some("other".into()), ..choices() };
    assert_eq!(recipe.plan(other).unwrap().payload_key_pem, "other");
    let keyless = load_texts(&RECIPE.replace("payload-key = \"key.pem\"", ""), &[]).unwrap();
    assert_eq!(keyless.plan(choices()), Err(PlanError::NoPayloadKey));
}

#[test]
fn what_the_recipe_does_not_declare_is_refused_with_what_it_does() {
    let recipe =
        load_texts(&RECIPE.replace("[arch.arm64]\nkernel.package = \"linux-image-cloud-arm64\"", ""), &[])
            .unwrap();
    let refused = |choices| {
        let error = recipe.plan(choices).unwrap_err();
        format!("{error}; {}", error.hint().unwrap())
    };
    assert_eq!(
        refused(Choices { arch: Arch::Arm64, ..choices() }),
        "the recipe of `boxcar` declares no architecture `arm64`: expected `amd64`; \
         declare it in the recipe as `[arch.arm64]`"
    );
    assert_eq!(
        refused(Choices { channel: Channel::Beta, ..choices() }),
        "the recipe of `boxcar` declares no channel `beta`: expected `alpha` or `stable` or `lts-2026`; \
         add `\"beta\"` to `channels` of `[os]` in the recipe"
    );
    assert_eq!(
        refused(Choices { channel: Channel::Alpha, ..choices() }),
        "version `4893.2.0` cannot be released to channel `alpha`: expected LEVEL 0, found 2; `--version 4893.0.0`"
    );
    let old = Choices { source_date: Timestamp::from_unix_secs(0).unwrap(), ..choices() };
    assert_eq!(recipe.plan(old), Err(PlanError::SourceDate(Timestamp::from_unix_secs(0).unwrap())));
}

#[test]
fn days_are_counted_from_the_epoch_in_utc() {
    let recipe = load_texts(RECIPE, &[]).unwrap();
    let on = |now: &str| recipe.os.version_on(now.parse().unwrap(), Channel::Alpha);
    assert_eq!(on("2013-07-01T00:00:00Z"), Version { major: 0, level: 0, patch: 0 });
    assert_eq!(on("2026-11-22T23:59:59Z"), Version { major: 4892, level: 0, patch: 0 });
    assert_eq!(on("2026-11-23T00:00:00Z"), Version { major: 4893, level: 0, patch: 0 });
    assert_eq!(on("2000-01-01T00:00:00Z").major, 0);
}

proptest! {
    #[test]
    fn dates_rise_with_versions(a in (0..40_000u32, 0..=3u8, 0..21_600u32), b in (0..40_000u32, 0..=3u8, 0..21_600u32)) {
        static OS: LazyLock<Os> = LazyLock::new(|| load_texts(RECIPE, &[]).unwrap().os);
        let version = |(major, level, patch)| Version { major, level, patch };
        let (a, b) = (version(a), version(b));
        prop_assert_eq!(a.cmp(&b), OS.date_of(a).unwrap().cmp(&OS.date_of(b).unwrap()));
    }
}

#[test]
fn a_version_without_a_date_of_its_own_has_its_branch_day() {
    let os = load_texts(RECIPE, &[]).unwrap().os;
    assert_eq!(os.date_of("4893.0.0".parse().unwrap()).unwrap().to_string(), "2026-11-23T00:00:00Z");
    assert_eq!(os.date_of("4893.2.1".parse().unwrap()).unwrap().to_string(), "2026-11-23T12:00:01Z");
}
