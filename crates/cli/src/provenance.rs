//! What records and reports say about this program.

use scalelaw_schema::record::Provenance;
use scalelaw_train::{BURN_FEATURES, BURN_VERSION, Program};

/// Version, commit and host, for the records of trained runs.
pub fn program() -> Program {
    Program {
        version: env!("CARGO_PKG_VERSION").to_string(),
        git_commit: Some(env!("SCALELAW_GIT_COMMIT")).filter(|commit| !commit.is_empty()).map(str::to_string),
        host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_string()),
    }
}

/// Version with the commit: `0.1.0 (1478f92abc)`.
pub fn version() -> String {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("SCALELAW_GIT_COMMIT"));
    match commit.get(..10) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_string(),
    }
}

/// The program with its version, for a person.
pub fn program_name() -> String {
    format!("scalelaw {}", version())
}

/// Time of day now, UTC, in whole seconds.
pub fn time_of_day() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%SZ").to_string()
}

/// Now, RFC 3339, UTC, in whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The provenance of a simulated run that began at `started`.
pub fn of_simulation(started: &str) -> Provenance {
    let program = program();
    Provenance {
        version: program.version,
        git_commit: program.git_commit,
        burn: BURN_VERSION.to_string(),
        features: BURN_FEATURES.iter().map(|feature| feature.to_string()).collect(),
        backend: "simulated".to_string(),
        device: "none".to_string(),
        driver: None,
        host: program.host,
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        threads: 1,
        started: started.to_string(),
        ended: now(),
    }
}
