//! Files of rules: a text is in force as it stands, or every mistake is told and nothing has changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_model::evidence::RuleFile;
use sm_release::rules::Rules;

fuzz_target!(|text: &str| {
    for file in RuleFile::ALL {
        let mut rules = Rules::default();
        match rules.adopt(file, text) {
            Ok(()) => assert!(rules.has(file, text)),
            Err(problems) => assert!(!problems.is_empty() && rules == Rules::default()),
        }
    }
});
