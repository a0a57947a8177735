//! What every record says of this program and this machine.

use scalelaw_schema::record::Provenance;

/// Where numbers of this process come from.
pub struct Origin {
    /// `cpu`, `wgpu` or `simulated`.
    pub backend: String,
    /// Name of the device.
    pub device: String,
    /// Driver with version.
    pub driver: Option<String>,
    /// Threads in use.
    pub threads: usize,
}

/// Version with the commit, for a person.
pub fn program() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match commit() {
        Some(commit) => format!("scalelaw {version} ({})", &commit[..commit.len().min(10)]),
        None => format!("scalelaw {version}"),
    }
}

/// The commit that the program was built from.
pub fn commit() -> Option<String> {
    Some(env!("SCALELAW_GIT_COMMIT")).filter(|commit| !commit.is_empty()).map(str::to_string)
}

/// Now, RFC 3339, UTC, in whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The provenance of numbers made since `started`.
pub fn provenance(origin: &Origin, started: &str) -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_string(),
        git_commit: commit(),
        burn: scalelaw_train::BURN_VERSION.to_string(),
        features: scalelaw_train::FEATURES.iter().map(|feature| feature.to_string()).collect(),
        backend: origin.backend.clone(),
        device: origin.device.clone(),
        driver: origin.driver.clone(),
        host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_string()),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        threads: origin.threads,
        started: started.to_string(),
        ended: now(),
    }
}
