//! Changes the user of a process that was started as root, for good: credentials(7).
//! Files and ports that need root are opened before.

use super::error::StartError;
use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};
use std::ffi::CString;

/// The user of `--user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    user: Uid,
    group: Gid,
    /// Whether it was given by number, and so has no groups besides its own.
    by_number: bool,
}

impl User {
    /// Looks the name up. A number, `UID` or `UID:GID`, is used as it is: a static program, or one
    /// in a container, has no list of users. Only root can change its user.
    pub fn find(name: &str) -> Result<User, StartError> {
        let cannot = |why: &str| StartError::new(format!("cannot become the user {name}: {why}"));
        if !unistd::geteuid().is_root() {
            return Err(cannot("only root can; start as root, or leave out --user"));
        }
        let number = numbers(name);
        let (user, group) = match number {
            Some(numbers) => numbers,
            None => match unistd::User::from_name(name) {
                Ok(Some(found)) => (found.uid, found.gid),
                Ok(None) => return Err(cannot("there is none; give one of `getent passwd`")),
                Err(errno) => {
                    let why = format!("looking it up failed: {}; try again", errno.desc());
                    return Err(cannot(&why));
                }
            },
        };
        if user.is_root() {
            return Err(cannot("that is root again; give another one"));
        }
        Ok(User {
            name: name.to_owned(),
            user,
            group,
            by_number: number.is_some(),
        })
    }

    /// The name as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ids of the user and of its primary group.
    pub fn numbers(&self) -> (u32, u32) {
        (self.user.as_raw(), self.group.as_raw())
    }

    /// Becomes this user with all its groups, and checks that there is no way back to root.
    pub fn assume(&self) -> Result<(), StartError> {
        let name = &self.name;
        let cannot = |what: &str, errno: Errno| {
            let text = format!("cannot become the user {name}: {what}: {}", errno.desc());
            StartError::new(format!("{text}; start as root with all its capabilities"))
        };
        let text = CString::new(name.as_str()).map_err(|_| cannot("its name", Errno::EINVAL))?;
        // The user id last: after it the groups can no longer be set.
        match self.by_number {
            true => unistd::setgroups(&[]).map_err(|errno| cannot("setgroups", errno))?,
            false => unistd::initgroups(&text, self.group)
                .map_err(|errno| cannot("initgroups", errno))?,
        }
        unistd::setresgid(self.group, self.group, self.group)
            .map_err(|errno| cannot("setresgid", errno))?;
        unistd::setresuid(self.user, self.user, self.user)
            .map_err(|errno| cannot("setresuid", errno))?;
        let root = Uid::from_raw(0);
        if unistd::setuid(root).is_ok() || unistd::seteuid(root).is_ok() {
            return Err(StartError::new(format!(
                "became the user {name}, but could become root again; not serving like that: start \
                 without the secure bits that keep capabilities"
            )));
        }
        Ok(())
    }
}

/// The ids of `UID`, whose group has the same number, or of `UID:GID`.
fn numbers(text: &str) -> Option<(Uid, Gid)> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    // setresuid(2) takes -1 for "no change".
    let number = |text: &str| text.parse().ok().filter(|number| *number != u32::MAX);
    Some((Uid::from_raw(number(user)?), Gid::from_raw(number(group)?)))
}

/// Logs a warning when the process serves as root.
pub fn warn_of_root() {
    if unistd::geteuid().is_root() {
        log::warn!("serving as root; add --user NAME to switch to another user");
    }
}
