//! The same steps on the processor and through WGPU. A machine without an adapter skips it and says so;
//! `SCALELAW_REQUIRE_WGPU=1` makes that a failure.

use std::process::Command;

use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::metrics;

use crate::device::{list_devices, open_device};
use crate::testing::{self, train_in_memory, train_spec};

const NAME: &str = "wgpu_test::twenty_steps_on_wgpu_agree_with_the_processor";
const CHILD: &str = "SCALELAW_WGPU_TEST_CHILD";

#[test]
fn twenty_steps_on_wgpu_agree_with_the_processor() {
    if list_devices().len() == 1 {
        assert!(
            std::env::var_os("SCALELAW_REQUIRE_WGPU").is_none(),
            "SCALELAW_REQUIRE_WGPU is set, but there is no adapter (hint: install a Vulkan driver, such as \
             mesa-vulkan-drivers)"
        );
        println!("skipped: this machine has no WGPU adapter");
        return;
    }
    // In a process of its own: how much is tuned is read from the environment once. Tuning tries every kernel
    // in several forms, which a software adapter takes minutes for.
    if std::env::var_os(CHILD).is_none() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, "1")
            .env("CUBECL_AUTOTUNE_LEVEL", "0")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let train = train_spec(20);
    let losses = |choice: DeviceChoice| -> Vec<f64> {
        let device = open_device(choice, 1).unwrap();
        println!("{:?}", device.report);
        let (_, _, rows) = train_in_memory(&train, 96, &device.device, &mut testing::batch);
        rows.iter().map(|row| row.values[metrics::TRAIN_LOSS]).collect()
    };
    let expected = losses(DeviceChoice::Cpu);
    let found = losses(DeviceChoice::Wgpu(Some(0)));
    println!("{found:?}");
    assert!(expected[0] - expected[19] > 0.3, "nothing was learnt: {expected:?}");
    for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() < 1e-3, "step {step}: {found} on WGPU, {expected} on the processor");
    }
}
