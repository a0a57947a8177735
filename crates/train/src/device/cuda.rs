//! NVIDIA cards through CUDA. Without the feature `cuda` there are none; with it and without NVIDIA's driver there are
//! none either, since the driver is loaded when it is asked for.

use burn::tensor::Device;
use scalelaw_schema::device::DeviceReport;

use crate::error::TrainError;

/// A card.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    /// Its index as CUDA counts, that of `cuda:N`.
    pub idx: usize,
    pub report: DeviceReport,
}

/// The cards that answer, in CUDA's own order.
pub(crate) fn cards() -> &'static [Card] {
    #[cfg(feature = "cuda")]
    return cards::all();
    #[cfg(not(feature = "cuda"))]
    return &[];
}

/// Opens the card with this index.
///
/// # Errors
/// `Backend` where the driver refuses, or the program is built without CUDA.
pub(crate) fn open(idx: usize) -> Result<Device, TrainError> {
    #[cfg(feature = "cuda")]
    return cards::open(idx);
    #[cfg(not(feature = "cuda"))]
    return Err(TrainError::Backend { why: format!("card {idx}: this program is built without CUDA") });
}

#[cfg(feature = "cuda")]
mod cards {
    use std::panic::catch_unwind;
    use std::sync::OnceLock;

    use burn::tensor::{Device, DeviceType};
    use scalelaw_schema::device::{DeviceChoice, DeviceKind, DeviceReport};

    use super::Card;
    use crate::error::TrainError;

    /// Asked once: a card's name is known to its context alone, and that takes memory of the card as long as the
    /// process lives.
    pub fn all() -> &'static [Card] {
        static CARDS: OnceLock<Vec<Card>> = OnceLock::new();
        CARDS.get_or_init(|| {
            // burn panics where CUDA fails; a machine with a broken driver has no card.
            let devices = catch_unwind(|| Device::enumerate(DeviceType::Cuda)).ok();
            let n_cards = devices.map_or(0, |devices| devices.len());
            let card = |idx| catch_unwind(|| Card { idx, report: report(idx) }).ok();
            (0..n_cards).filter_map(card).collect()
        })
    }

    pub fn open(idx: usize) -> Result<Device, TrainError> {
        let opened = catch_unwind(|| {
            let device = Device::cuda(idx);
            // A device is opened by its first use.
            device.identity();
            device
        });
        opened.map_err(|payload| TrainError::panic(payload.as_ref()))
    }

    fn report(idx: usize) -> DeviceReport {
        let identity = Device::cuda(idx).identity();
        let pci = identity.as_ref().and_then(|identity| identity.physical.as_ref()?.pci_address);
        // `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  ...`
        let driver = std::fs::read_to_string("/proc/driver/nvidia/version").ok();
        let driver = driver.and_then(|text| {
            let version =
                text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
            Some(format!("NVIDIA {version}"))
        });
        DeviceReport {
            choice: DeviceChoice::Cuda(Some(idx)).to_string(),
            name: identity.map_or_else(|| "CUDA device".to_string(), |identity| identity.name),
            kind: DeviceKind::DiscreteGpu,
            api: Some("cuda".to_string()),
            driver,
            pci_bus_id: pci.map(|address| address.to_string()),
            max_binding_bytes: None,
            // Cards are shared, so their size says little of what is free.
            memory_bytes: None,
        }
    }
}
