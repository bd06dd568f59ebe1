//! The seccomp filter: the list of system calls that serving needs.
//! Landlock decides about files and TCP ports.
//!
//! The program is put together here because it needs two refusals. What the kernel has and
//! serving does not need is refused with EPERM. What is newer than [`NEWEST`] does not exist
//! (ENOSYS), as on an older kernel: a C library that tries a new call first goes on with the old
//! one.
//!
//! Linux remembers which calls are allowed whatever their arguments are, and runs the program for
//! the others only (5.11 and later). Measured on Linux 6.18: any filter costs a call 40 ns, and the
//! program costs sendto(2) 18 ns more; together 2 % of the CPU time of an echo.

use nix::libc::{self, c_long, seccomp_data};
use seccompiler::{BpfProgram, apply_filter, sock_filter};
use std::mem::offset_of;

/// `AUDIT_ARCH_*` of linux/audit.h; a machine that is not here gets no filter.
const MACHINE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};

/// `file_setattr`, the newest call of Linux 6.17, which was the newest when the lists were made.
const NEWEST: c_long = 469;

/// Calls that are allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Bytes through what is open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_close,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    // Sockets that are open. Without a link, no socket is made, bound or connected any more.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    // Files, whose names Landlock keeps below the root. Changing owners, modes, times and
    // attributes by name, which it does not look at, is not allowed.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fgetxattr,
    libc::SYS_lgetxattr,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    // Memory, threads, signals and clocks of the process itself.
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_prctl,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Calls that copy owner, mode and attributes from a replaced file to the new one. They work on
/// open descriptors, and nothing outside the root can be opened; but they also change files that
/// are open for reading only, so `--read-only` forbids them.
const CHANGING: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fsetxattr,
    libc::SYS_fremovexattr,
];

/// A TCP socket, for the link. Landlock decides about its port.
const LINKING: &[Condition] = &[
    only(
        libc::SYS_socket,
        &[
            exactly(0, &[libc::AF_INET as u32, libc::AF_INET6 as u32]),
            masked(
                1,
                !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32,
                &[libc::SOCK_STREAM as u32],
            ),
            exactly(2, &[libc::IPPROTO_TCP as u32]),
        ],
    ),
    only(libc::SYS_connect, &[]),
];

/// Older variants of calls in [`ALLOWED`] that libraries still use.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_link,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_unlink,
    libc::SYS_getpgrp,
    libc::SYS_time,
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLDER: &[c_long] = &[];

/// A call that is allowed if all checks of its arguments hold.
struct Condition {
    call: c_long,
    checks: &'static [Check<'static>],
}

/// The masked bits of an argument have one of these values.
struct Check<'a> {
    argument: usize,
    mask: u32,
    values: &'a [u32],
}

const fn only(call: c_long, checks: &'static [Check<'static>]) -> Condition {
    Condition { call, checks }
}

/// All bits of an argument have one of these values.
const fn exactly(argument: usize, values: &[u32]) -> Check<'_> {
    masked(argument, u32::MAX, values)
}

const fn masked(argument: usize, mask: u32, values: &[u32]) -> Check<'_> {
    Check {
        argument,
        mask,
        values,
    }
}

/// The calling thread: `PRIO_PROCESS` is 0, of a type that depends on the C library.
const OWN_PRIORITY: &[Check<'static>] = &[exactly(0, &[0]), exactly(1, &[0])];

const NEW_NAMESPACE: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// The first one is made in every turn, so it is checked first.
const CONDITIONS: &[Condition] = &[
    // MSG_FASTOPEN connects.
    only(
        libc::SYS_sendto,
        &[masked(3, libc::MSG_FASTOPEN as u32, &[0])],
    ),
    only(
        libc::SYS_sendmsg,
        &[masked(2, libc::MSG_FASTOPEN as u32, &[0])],
    ),
    // From a pair of datagram sockets every other one with a path could be reached.
    only(
        libc::SYS_socketpair,
        &[masked(
            1,
            !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32,
            &[libc::SOCK_STREAM as u32],
        )],
    ),
    // A thread, and in the namespaces of the others.
    only(
        libc::SYS_clone,
        &[masked(
            0,
            (libc::CLONE_THREAD | NEW_NAMESPACE) as u32,
            &[libc::CLONE_THREAD as u32],
        )],
    ),
    // The limits of the process itself.
    only(libc::SYS_prlimit64, &[exactly(0, &[0])]),
    // The priority of a helper thread, set by itself.
    only(libc::SYS_getpriority, OWN_PRIORITY),
    only(libc::SYS_setpriority, OWN_PRIORITY),
    // Without F_SETOWN, which has signals sent to other processes.
    only(
        libc::SYS_fcntl,
        &[exactly(
            1,
            &[
                libc::F_DUPFD_CLOEXEC as u32,
                libc::F_GETFD as u32,
                libc::F_SETFD as u32,
                libc::F_GETFL as u32,
                libc::F_SETFL as u32,
                libc::F_SETPIPE_SZ as u32,
                libc::F_GETPIPE_SZ as u32,
            ],
        )],
    ),
    // Without TIOCSTI, which types into the operator's shell.
    only(
        libc::SYS_ioctl,
        &[exactly(
            1,
            &[
                libc::FIONBIO as u32,
                libc::FIONREAD as u32,
                libc::FIOCLEX as u32,
                libc::TIOCOUTQ as u32,
                libc::TIOCGWINSZ as u32,
                libc::TIOCGPGRP as u32,
                libc::TCGETS as u32,
                libc::TCSETS as u32,
                libc::TCSETSW as u32,
                libc::TCSETSF as u32,
                libc::TCGETS2 as u32,
                libc::TCSETS2 as u32,
                libc::TCSETSW2 as u32,
                libc::TCSETSF2 as u32,
            ],
        )],
    ),
];

/// Installs the filter for the calling thread and every thread that it starts from now on.
pub(super) fn restrict(read_only: bool, links: bool) -> Result<(), String> {
    let machine = MACHINE.ok_or("this kind of machine has no list of system calls here")?;
    let changing = if read_only { &[] } else { CHANGING };
    let linking = if links { LINKING } else { &[] };
    let program = program(machine, std::process::id(), changing, linking);
    apply_filter(&program).map_err(|error| error.to_string())
}

fn program(machine: u32, own_id: u32, changing: &[c_long], linking: &[Condition]) -> BpfProgram {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        equal(machine, 1, 0),
        refuse(libc::EPERM),
        load(offset_of!(seccomp_data, nr)),
    ];
    for condition in CONDITIONS.iter().chain(linking) {
        allow_if(&mut program, condition.call, condition.checks);
    }
    // A signal to a thread of the process itself: abort(3) sends one.
    let own = [own_id];
    allow_if(&mut program, libc::SYS_tgkill, &[exactly(0, &own)]);
    for &call in ALLOWED.iter().chain(OLDER).chain(changing) {
        program.extend([equal(call as u32, 0, 1), allow()]);
    }
    // The flags of clone3 are in memory, which a filter cannot read; ENOSYS makes libc use
    // clone(2).
    program.extend([equal(libc::SYS_clone3 as u32, 0, 1), refuse(libc::ENOSYS)]);
    let newer = instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, NEWEST as u32);
    program.extend([
        sock_filter {
            jt: 0,
            jf: 1,
            ..newer
        },
        refuse(libc::ENOSYS),
    ]);
    program.push(refuse(libc::EPERM));
    program
}

fn allow_if(program: &mut BpfProgram, call: c_long, checks: &[Check<'_>]) {
    let mut checked = Vec::new();
    for check in checks {
        // The lower half of the argument: these machines are little-endian.
        checked.push(load(offset_of!(seccomp_data, args) + 8 * check.argument));
        if check.mask != u32::MAX {
            checked.push(instruction(
                libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
                check.mask,
            ));
        }
        for (index, &value) in check.values.iter().enumerate() {
            // Past the other values and the refusal.
            checked.push(equal(value, short(check.values.len() - index), 0));
        }
        checked.push(refuse(libc::EPERM));
    }
    checked.push(allow());
    program.push(equal(call as u32, 0, short(checked.len())));
    program.append(&mut checked);
}

fn short(jump: usize) -> u8 {
    u8::try_from(jump).expect("a short list of values")
}

/// Loads a word of `seccomp_data`.
fn load(offset: usize) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32)
}

/// Skips `if_so` instructions if the loaded word equals `value`, else `if_not`.
fn equal(value: u32, if_so: u8, if_not: u8) -> sock_filter {
    let compare = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value);
    sock_filter {
        jt: if_so,
        jf: if_not,
        ..compare
    }
}

fn allow() -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW)
}

fn refuse(errno: libc::c_int) -> sock_filter {
    let action = libc::SECCOMP_RET_ERRNO | errno as u32;
    instruction(libc::BPF_RET | libc::BPF_K, action)
}

fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
