//! The devices of this machine: listing them, and opening the one that was asked for.
//!
//! The list is made through wgpu itself, and burn is then given exactly the adapter that was listed: left
//! alone it would take the first adapter there is, a software one included.

mod cuda;

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use burn::backend::{Backend, Dispatch};
use burn::tensor::wgpu::{WgpuBackend, wgpu};
use burn::tensor::{Device, DeviceKind as BurnKind, read_sync};
use scalelaw_schema::device::{DeviceChoice, DeviceKind, DeviceReport};
use scalelaw_schema::recipe::Precision;
use scalelaw_schema::record::Provenance;

use crate::cpu::{product, simd};
use crate::error::TrainError;
use cuda::Card;

/// Version of burn that this program is built with.
pub const BURN_VERSION: &str = "0.22.1";
/// Features of burn that this program is built with and that can change numbers. The native compilers come last:
/// SPIR-V for Vulkan, MSL for Metal, and CUDA.
pub const BURN_FEATURES: &[&str] = &[
    "flex",
    "simd",
    "x86-v4",
    "wgpu",
    "fusion",
    "autotune",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "metal")]
    "metal",
    #[cfg(feature = "cuda")]
    "cuda",
];

/// A device ready to train on.
#[derive(Debug)]
pub struct OpenDevice {
    /// What it is.
    pub report: DeviceReport,
    /// Threads of the processor that training may use.
    pub threads: usize,
    pub(crate) device: Device,
    pool: rayon::ThreadPool,
}

/// What a program says of itself in a [`Provenance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Version of the program.
    pub version: String,
    /// Git commit that it was built from, where that is known.
    pub git_commit: Option<String>,
    /// Name of the machine.
    pub host: String,
}

/// An adapter as wgpu lists it, and how burn names the same one.
#[derive(Debug, Clone)]
struct Adapter {
    report: DeviceReport,
    info: wgpu::AdapterInfo,
    /// Place among the adapters of the same interface and type.
    same_kind_idx: usize,
}

impl OpenDevice {
    /// What computes: `cpu`, `cuda`, or `wgpu` with the compiler of its kernels where that is not WGSL, as in
    /// `wgpu-spirv`. It is asked of the open device, since an adapter can lack what a native compiler needs.
    pub fn backend(&self) -> &'static str {
        if self.report.kind == DeviceKind::Cpu {
            return "cpu";
        }
        let name = Dispatch::name(self.device.as_dispatch());
        let known = [("wgpu<spirv>", "wgpu-spirv"), ("wgpu<msl>", "wgpu-msl"), ("cuda", "cuda")];
        known.into_iter().find(|(part, _)| name.contains(part)).map_or("wgpu", |(_, backend)| backend)
    }

    /// Features of burn that can change numbers and, for the processor, its instructions: sums of products are rounded
    /// once or twice by them.
    fn features(&self) -> Vec<String> {
        let instructions = (self.report.kind == DeviceKind::Cpu).then(|| simd::level().name());
        BURN_FEATURES.iter().copied().chain(instructions).map(str::to_string).collect()
    }

    /// Where a number made on this device comes from; times in RFC 3339.
    pub fn provenance(&self, program: &Program, started: &str, ended: &str) -> Provenance {
        Provenance {
            version: program.version.clone(),
            git_commit: program.git_commit.clone(),
            burn: BURN_VERSION.to_string(),
            features: self.features(),
            backend: self.backend().to_string(),
            device: self.report.name.clone(),
            driver: self.report.driver.clone(),
            host: program.host.clone(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            threads: self.threads,
            started: started.to_string(),
            ended: ended.to_string(),
        }
    }

    /// Whether products can be computed so.
    ///
    /// # Errors
    /// `Precision` where they cannot.
    pub fn check_precision(&self, precision: Precision) -> Result<(), TrainError> {
        check_precision(&self.report, precision)
    }

    /// Runs `work` with the device's threads and turns a panic of the backend into an error.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, TrainError> + Send,
    ) -> Result<T, TrainError> {
        self.pool.install(|| {
            // What the closure was changing is dropped with it, or read again from the disk.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|payload| Err(TrainError::panic(payload.as_ref())))
        })
    }
}

/// The processor, then the adapters of Vulkan, Metal and DirectX 12: cards first, software last; their order is the
/// index of `wgpu:N`, and stays the same while the machine does. Then the cards of CUDA, where the program was built
/// with it: the same ones once more.
///
/// OpenGL is left out: it offers too few storage buffers for fused kernels, and where it is all there is,
/// it is nearly always a software renderer.
pub fn list_devices() -> Vec<DeviceReport> {
    let adapters = adapters().iter().map(|adapter| adapter.report.clone());
    std::iter::once(processor())
        .chain(adapters)
        .chain(cuda::cards().iter().map(|card| card.report.clone()))
        .collect()
}

/// What a choice means on this machine, without opening it.
///
/// # Errors
/// `MissingDevice` where there is no such adapter, or, for `wgpu` without an index, no real GPU.
pub fn find_device(choice: DeviceChoice) -> Result<DeviceReport, TrainError> {
    Ok(match find(choice)? {
        Found::Processor => processor(),
        Found::Adapter(adapter) => adapter.report.clone(),
        Found::Cuda(card) => card.report.clone(),
    })
}

/// Opens a device for `threads` threads of the processor.
///
/// # Errors
/// Those of [`find_device`]; `Backend` where the adapter refuses.
pub fn open_device(choice: DeviceChoice, threads: usize) -> Result<OpenDevice, TrainError> {
    let (report, device) = match find(choice)? {
        Found::Processor => (processor(), Device::flex()),
        Found::Adapter(adapter) => (adapter.report.clone(), open_adapter(adapter)?),
        Found::Cuda(card) => (card.report.clone(), cuda::open(card.idx)?),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|e| TrainError::Backend { why: format!("cannot start {threads} threads: {e}") })?;
    Ok(OpenDevice { report, threads: threads.max(1), device, pool })
}

/// Whether a device has the products of a precision, without opening it.
///
/// # Errors
/// `Precision` where it has not.
pub fn check_precision(device: &DeviceReport, precision: Precision) -> Result<(), TrainError> {
    if precision.is_f32() || device.kind == DeviceKind::Cpu && product::has(precision) {
        return Ok(());
    }
    Err(TrainError::Precision { device: device.name.clone() })
}

/// What a choice means.
enum Found {
    Processor,
    Adapter(&'static Adapter),
    Cuda(&'static Card),
}

/// Looks a choice up. `auto` prefers the native compiler of a card to the portable one.
fn find(choice: DeviceChoice) -> Result<Found, TrainError> {
    let first_real = || adapters().iter().find(|adapter| adapter.report.kind != DeviceKind::Software);
    let missing = |why: String| TrainError::MissingDevice { choice: choice.to_string(), why };
    Ok(match choice {
        DeviceChoice::Cpu => Found::Processor,
        DeviceChoice::Auto => match (cuda::cards().first(), first_real()) {
            (Some(card), _) => Found::Cuda(card),
            (None, Some(adapter)) => Found::Adapter(adapter),
            (None, None) => Found::Processor,
        },
        DeviceChoice::Wgpu(None) => Found::Adapter(first_real().ok_or_else(|| {
            missing(match adapters().first() {
                None => "no driver offers an adapter".to_string(),
                Some(software) => format!(
                    "there are only software adapters, which must be asked for by number, such as `{}`",
                    software.report.choice
                ),
            })
        })?),
        DeviceChoice::Wgpu(Some(idx)) => Found::Adapter(
            adapters().get(idx).ok_or_else(|| missing(format!("there are {} adapters", adapters().len())))?,
        ),
        DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => {
            return Err(missing("this program is built without it (hint: `--features cuda`)".to_string()));
        }
        DeviceChoice::Cuda(idx) => {
            let mut cards = cuda::cards().iter();
            let card = cards.find(|card| idx.is_none_or(|idx| card.idx == idx));
            Found::Cuda(
                card.ok_or_else(|| missing(format!("CUDA's driver offers {} cards", cuda::cards().len())))?,
            )
        }
    })
}

/// All adapters in the order of the list; asked once, because the Vulkan loader does not like instances
/// that come and go.
fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        let apis = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = apis;
        let instance = wgpu::Instance::new(descriptor);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut adapters: Vec<Adapter> = read_sync(instance.enumerate_adapters(apis))
            .iter()
            .map(|adapter| {
                let info = adapter.get_info();
                let idx = seen.entry(format!("{:?} {:?}", info.backend, info.device_type)).or_insert(0);
                let same_kind_idx = *idx;
                *idx += 1;
                Adapter { report: report(&info, &adapter.limits()), info, same_kind_idx }
            })
            .collect();
        adapters.sort_by_key(|adapter| match adapter.report.kind {
            DeviceKind::DiscreteGpu => 0,
            DeviceKind::IntegratedGpu => 1,
            DeviceKind::VirtualGpu => 2,
            DeviceKind::Software => 4,
            DeviceKind::Cpu | DeviceKind::Other => 3,
        });
        for (idx, adapter) in adapters.iter_mut().enumerate() {
            adapter.report.choice = DeviceChoice::Wgpu(Some(idx)).to_string();
        }
        adapters
    })
}

fn report(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> DeviceReport {
    let said = |text: &str| Some(text.trim().to_string()).filter(|text| !text.is_empty());
    DeviceReport {
        choice: String::new(),
        name: info.name.clone(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
            wgpu::DeviceType::Cpu => DeviceKind::Software,
            wgpu::DeviceType::Other => DeviceKind::Other,
        },
        api: Some(info.backend.to_string()),
        driver: said(&format!("{} {}", info.driver, info.driver_info)),
        pci_bus_id: said(&info.device_pci_bus_id),
        max_binding_bytes: Some(limits.max_storage_buffer_binding_size),
        // wgpu does not tell how much memory a card has.
        memory_bytes: None,
    }
}

/// Gives burn the adapter that was listed. One per process: burn keeps a device for ever.
fn open_adapter(adapter: &Adapter) -> Result<Device, TrainError> {
    static OPEN: Mutex<BTreeMap<String, Device>> = Mutex::new(BTreeMap::new());
    let refused =
        |why: String| TrainError::Backend { why: format!("adapter `{}`: {why}", adapter.report.name) };
    let mut open = OPEN.lock().map_err(|_| refused("an earlier attempt to open it failed".to_string()))?;
    if let Some(device) = open.get(&adapter.report.choice) {
        return Ok(device.clone());
    }
    let idx = adapter.same_kind_idx;
    let kind = match adapter.info.device_type {
        wgpu::DeviceType::DiscreteGpu => BurnKind::DiscreteGpu(idx),
        wgpu::DeviceType::IntegratedGpu => BurnKind::IntegratedGpu(idx),
        wgpu::DeviceType::VirtualGpu => BurnKind::VirtualGpu(idx),
        wgpu::DeviceType::Cpu => BurnKind::Cpu,
        // burn cannot name these; the check below refuses any other that it takes.
        wgpu::DeviceType::Other => BurnKind::DefaultDevice,
    };
    let api = match adapter.info.backend {
        wgpu::Backend::Vulkan => WgpuBackend::Vulkan,
        wgpu::Backend::Metal => WgpuBackend::Metal,
        wgpu::Backend::Dx12 => WgpuBackend::Dx12,
        other => return Err(refused(format!("the interface {other} is not supported"))),
    };
    let (device, setup) = Device::wgpu_options()
        .device_kind(kind)
        .graphics_api(api)
        .init_with_setup()
        .map_err(|e| refused(e.to_string()))?;
    let taken = setup.adapter.get_info();
    let identity = |info: &wgpu::AdapterInfo| {
        (info.name.clone(), info.vendor, info.device, info.device_pci_bus_id.clone(), info.backend)
    };
    if identity(&taken) != identity(&adapter.info) {
        return Err(refused(format!("burn opened `{}` instead", taken.name)));
    }
    open.insert(adapter.report.choice.clone(), device.clone());
    Ok(device)
}

/// The processor. Name and memory are read where Linux tells them.
fn processor() -> DeviceReport {
    let line = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let kib = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
    DeviceReport {
        choice: "cpu".to_string(),
        name: line("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH)),
        kind: DeviceKind::Cpu,
        api: None,
        driver: None,
        pci_bus_id: None,
        max_binding_bytes: None,
        memory_bytes: line("/proc/meminfo", "MemTotal").and_then(kib).map(|kib| kib * 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_comes_first_and_each_choice_names_its_device() {
        let devices = list_devices();
        assert_eq!(devices[0].choice, "cpu");
        for (idx, device) in devices.iter().enumerate().skip(1) {
            let n_adapters = adapters().len();
            let choice = if idx <= n_adapters {
                format!("wgpu:{}", idx - 1)
            } else {
                format!("cuda:{}", idx - 1 - n_adapters)
            };
            assert_eq!(device.choice, choice);
        }
    }

    #[test]
    fn the_backend_is_what_the_open_device_calls_itself() {
        assert_eq!(open_device(DeviceChoice::Cpu, 1).unwrap().backend(), "cpu");
        let name = Dispatch::name(Device::flex().as_dispatch());
        assert!(name.contains("flex"), "{name}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn cuda_is_missing_where_the_program_is_built_without_it() {
        for choice in [DeviceChoice::Cuda(None), DeviceChoice::Cuda(Some(0))] {
            let message = find_device(choice).unwrap_err().to_string();
            assert!(message.contains("--features cuda"), "{message}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_missing() {
        let error = open_device(DeviceChoice::Wgpu(Some(99)), 1).unwrap_err();
        assert!(error.to_string().starts_with("device `wgpu:99` is missing"), "{error}");
        let has_gpu = list_devices().iter().skip(1).any(|device| device.kind != DeviceKind::Software);
        assert_eq!(open_device(DeviceChoice::Wgpu(None), 1).is_ok(), has_gpu);
        let auto = open_device(DeviceChoice::Auto, 1).unwrap();
        assert_eq!(auto.report.kind == DeviceKind::Cpu, !has_gpu);
    }

    #[test]
    fn the_stated_version_and_features_of_burn_are_those_of_the_manifest() {
        let manifest = include_str!("../../../../Cargo.toml");
        let line = manifest.lines().find(|line| line.starts_with("burn = ")).unwrap();
        assert!(line.contains(&format!("version = \"={BURN_VERSION}\"")), "{line}");
        let own_manifest = include_str!("../../Cargo.toml");
        for feature in BURN_FEATURES {
            let is_default = line.contains(&format!("\"{feature}\""));
            let is_chosen = own_manifest.contains(&format!("{feature} = [\"burn/{feature}\"]"));
            assert!(is_default || is_chosen, "{feature}: {line}");
        }
    }
}
