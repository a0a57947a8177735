//! Which device the user asked for, what devices there are, and how fast they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SchemaError;

/// `auto`, `cpu`, `wgpu`, `wgpu:1`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first real GPU, else the CPU, with a message.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU through WGPU: the first real one, or the one with this index in `doctor`'s list. Only an index
    /// may name a software adapter.
    Wgpu(Option<usize>),
    /// An NVIDIA card through CUDA: the first, or the one with this index. Only if the program was built with it.
    Cuda(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "wgpu" => Ok(DeviceChoice::Wgpu(None)),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(None)),
            Some(("wgpu", idx)) if idx.parse::<usize>().is_ok() => Ok(DeviceChoice::Wgpu(idx.parse().ok())),
            Some(("cuda", idx)) if idx.parse::<usize>().is_ok() => Ok(DeviceChoice::Cuda(idx.parse().ok())),
            _ => Err(SchemaError::UnknownName {
                what: "device",
                name: text.to_string(),
                known: "auto, cpu, wgpu, wgpu:0, wgpu:1, ..., cuda, cuda:0, ...".to_string(),
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Wgpu(None) => f.write_str("wgpu"),
            DeviceChoice::Wgpu(Some(idx)) => write!(f, "wgpu:{idx}"),
            DeviceChoice::Cuda(None) => f.write_str("cuda"),
            DeviceChoice::Cuda(Some(idx)) => write!(f, "cuda:{idx}"),
        }
    }
}

/// A device that can be trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceReport {
    /// The `--device` that selects it: `cpu`, `wgpu:0`, `cuda:0`.
    pub choice: String,
    /// Marketing name.
    pub name: String,
    /// Kind of adapter.
    pub kind: DeviceKind,
    /// Interface (`vulkan`, `metal`, `dx12`, `cuda`); `None` for the CPU.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api: Option<String>,
    /// Driver with version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub driver: Option<String>,
    /// PCI bus id, if the driver reports it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pci_bus_id: Option<String>,
    /// Largest buffer that a kernel may bind, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_binding_bytes: Option<u64>,
    /// Memory that training may use, bytes, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
}

/// Kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The CPU, through burn's flex backend.
    Cpu,
    /// A discrete card.
    DiscreteGpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU of a virtual machine.
    VirtualGpu,
    /// A driver that computes on the CPU (lavapipe, WARP), for tests.
    Software,
    /// The driver does not say.
    Other,
}

impl DeviceKind {
    /// Whether it is a GPU and no software adapter.
    pub fn is_real_gpu(self) -> bool {
        matches!(self, DeviceKind::DiscreteGpu | DeviceKind::IntegratedGpu | DeviceKind::VirtualGpu)
    }
}

/// The measured speed of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSpeed {
    /// Best rate over a few square f32 matrix products, FLOP/s, with the threads that one slot uses. The
    /// denominator of MFU.
    pub matmul_flops_per_second: f64,
    /// Measured training rates of one slot while all slots are busy, by size of model.
    pub training: Vec<TrainingSpeed>,
    /// Slots that were busy.
    pub slots: usize,
}

/// What `scalelaw doctor` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Version of this format.
    pub schema_version: u32,
    /// Version and commit of the program.
    pub program: String,
    /// Features of burn that the program is built with.
    pub features: &'static [&'static str],
    /// Every device, or the one that was requested.
    pub devices: Vec<DoctorDevice>,
}

/// A device and its measured speed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorDevice {
    /// The device; in JSON its fields are next to `speed`.
    #[serde(flatten)]
    pub report: DeviceReport,
    /// Its speed; `None` if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<DeviceSpeed>,
}

/// Training rate of one slot for one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSpeed {
    /// Parameters of the model that was timed.
    pub n_total: f64,
    /// Training FLOPs per second under [`crate::count::CountRule::Exact`].
    pub flops_per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_what_it_prints() {
        for text in ["auto", "cpu", "wgpu", "wgpu:0", "wgpu:12", "cuda", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().map(|choice| choice.to_string()), Ok(text.to_string()));
        }
        for text in ["", "gpu", "cpu:0", "wgpu:", "wgpu:-1", "cuda:x", "CUDA"] {
            let message = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{text}`")) && message.contains("cuda:0"), "{message}");
        }
    }
}
