//! Which sandboxing features the kernel has.

use landlock::Scope;
use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr};
use std::path::Path;

/// Whether this kernel supports this version of Landlock.
pub fn kernel_knows(version: ABI) -> bool {
    let all = || {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let mut rules = rules.handle_access(AccessFs::from_all(version))?;
        if version >= ABI::V4 {
            rules = rules.handle_access(AccessNet::from_all(version))?;
        }
        if version >= ABI::V6 {
            rules = rules.scope(Scope::from_all(version))?;
        }
        rules.create()
    };
    all().is_ok()
}

/// Whether the kernel has Landlock; if not, prints that the test is skipped.
pub fn has_landlock(test: &str) -> bool {
    let has = kernel_knows(ABI::V1);
    if !has {
        println!("SKIPPED {test}: this kernel has no Landlock");
    }
    has
}

/// Whether the kernel has seccomp filters; if not, prints that the test is skipped.
pub fn has_seccomp(test: &str) -> bool {
    let has = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    if !has {
        println!("SKIPPED {test}: this kernel has no seccomp filters");
    }
    has
}
