//! This process as a worker: its memory, whether its launcher is dead, and the end of an orphan, since its folder may
//! already belong to another launcher.

use scalelaw_schema::event::LAUNCHER_PID;
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// The process that started this one.
pub(super) struct Launcher {
    pid: Option<u32>,
    parent: Option<u32>,
}

impl Launcher {
    pub fn of_this_process() -> Launcher {
        let pid = std::env::var(LAUNCHER_PID).ok().and_then(|pid| pid.parse().ok());
        Launcher { pid, parent: parent_pid() }
    }

    /// A child of a dead process gets another parent. If there is a wrapper between the two, or the launcher
    /// died before this process could look, the launcher's own process is missing.
    pub fn is_dead(&self) -> bool {
        self.parent != parent_pid() || self.pid.is_some_and(|pid| !is_alive(pid))
    }
}

#[cfg(unix)]
fn parent_pid() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

/// Elsewhere the id of a parent stays when it dies, so it tells nothing.
#[cfg(not(unix))]
fn parent_pid() -> Option<u32> {
    None
}

fn is_alive(pid: u32) -> bool {
    let mut system = System::new();
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    system
        .process(pid)
        .is_some_and(|process| !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead))
}

/// As `kill -9` does: no destructor, no exit handler of a driver, no further byte written.
pub(super) fn kill_this_process() -> ! {
    let mut system = System::new();
    if let Ok(pid) = sysinfo::get_current_pid() {
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            true,
            ProcessRefreshKind::nothing(),
        );
        if system.process(pid).is_some_and(sysinfo::Process::kill) {
            // The signal arrives before this has passed.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    std::process::abort()
}

/// Resident memory of this process now, bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    system.process(pid).map(sysinfo::Process::memory)
}
