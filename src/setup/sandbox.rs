//! Gives up what serving does not need: other files, sockets, capabilities, system calls.
//! A descriptor from outside the root has to be open before.
//!
//! Names are resolved beneath the root anyway (`store/file_store.rs`). This is the second wall: it
//! holds for a mistake in the first one, and for a folder that is moved out of the root while an
//! upload into it is under way.

use super::seccomp;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::os::fd::BorrowedFd;

/// The newest Landlock ABI that was tested. Older kernels ignore the rights that they do not know.
const NEWEST: ABI = ABI::V7;

/// Confines the calling thread, and every thread that it starts from now on, to the root:
/// landlock(7), capabilities(7), seccomp(2). TCP connections are allowed to `ports`. Returns
/// whether Landlock is in force. A protection that the kernel lacks is logged as a warning.
pub fn enclose(root: BorrowedFd<'_>, read_only: bool, ports: &[u16]) -> bool {
    if let Err(errno) = nix::sys::prctl::set_no_new_privs() {
        log::warn!("cannot give up gaining privileges (no_new_privs): {errno}; serving with it");
    }
    if let Err(errno) = drop_capabilities(read_only) {
        log::warn!("cannot give up capabilities: {errno}; serving with all that were there");
    }
    let enclosed = restrict_files(root, read_only, ports);
    // Last: the filter refuses the system calls that the steps above need.
    match seccomp::restrict(read_only, !ports.is_empty()) {
        Ok(()) => log::debug!("no system calls but those that serving needs (seccomp)"),
        Err(error) => log::warn!("all system calls stay allowed: no seccomp filter: {error}"),
    }
    enclosed
}

/// Keeps only the capabilities that root needs for files of other users below the root.
fn drop_capabilities(read_only: bool) -> rustix::io::Result<()> {
    let reading = CapabilitySet::DAC_READ_SEARCH;
    // CHOWN and FOWNER: a new file gets owner and mode of the one that it replaces, and in a
    // sticky folder only the owner of a file may replace it.
    let writing = CapabilitySet::DAC_OVERRIDE | CapabilitySet::CHOWN | CapabilitySet::FOWNER;
    let needed = if read_only {
        reading
    } else {
        reading | writing
    };
    let had = rustix::thread::capabilities(None)?;
    let left = CapabilitySets {
        effective: had.effective & needed,
        permitted: had.permitted & needed,
        inheritable: CapabilitySet::empty(),
    };
    if left == had {
        return Ok(());
    }
    rustix::thread::set_capabilities(None, left)
}

fn restrict_files(root: BorrowedFd<'_>, read_only: bool, ports: &[u16]) -> bool {
    let missing = match restrict(root, read_only, ports) {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            "this kernel has no Landlock (Linux 5.13 with lsm=landlock has)".to_owned()
        }
        Ok(status) => {
            log::debug!(
                "enclosed by Landlock: {:?}, {:?}",
                status.ruleset,
                status.landlock
            );
            return true;
        }
        Err(error) => format!("Landlock failed: {error}"),
    };
    log::warn!("not enclosed in the root: {missing}; only names are resolved beneath it");
    false
}

fn restrict(
    root: BorrowedFd<'_>,
    read_only: bool,
    ports: &[u16],
) -> Result<RestrictionStatus, RulesetError> {
    let connects = ports
        .iter()
        .map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rule(PathBeneath::new(root, needed(read_only)))?
        .add_rules(connects.map(Ok::<_, RulesetError>))?
        .restrict_self()
}

/// The rights that the store needs below its root. Renaming takes those of making and removing what
/// is renamed, a folder or a link, too; `Refer` is for a new name in another folder.
fn needed(read_only: bool) -> BitFlags<AccessFs> {
    let reading = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let files = make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile});
    let writing = files | make_bitflags!(AccessFs::{MakeDir | RemoveDir | MakeSym | Refer});
    if read_only {
        reading
    } else {
        reading | writing
    }
}
