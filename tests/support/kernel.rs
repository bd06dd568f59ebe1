//! What the kernel can enclose a server with.

use landlock::Scope;
use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr};
use std::path::Path;

/// Whether this kernel has the rules of this version.
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

/// Whether there is Landlock at all; a test that cannot do without says that it was skipped.
pub fn has_landlock(test: &str) -> bool {
    let has = kernel_knows(ABI::V1);
    if !has {
        println!("SKIPPED {test}: this kernel has no Landlock");
    }
    has
}

/// Whether the kernel filters system calls; a test that cannot do without says so.
pub fn has_seccomp(test: &str) -> bool {
    let has = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    if !has {
        println!("SKIPPED {test}: this kernel has no seccomp filters");
    }
    has
}
