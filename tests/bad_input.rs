use crate::workbench::Workbench;

const CORPUS: &str = "\n[corpus.notes]\nsource = { files = [\"notes\"] }\n";

/// A sweep that is right but for what a test puts into it.
fn sweep(grid: &str, model: &str, data: &str, train: &str) -> String {
    format!("[grid]\n{grid}\n[model]\n{model}\n[data]\n{data}\n[train]\n{train}\n{CORPUS}")
}

const GRID: &str = "kind = \"product\"\nhorizon = { steps = 20 }";
const MODEL: &str = "d-model = 16\nn-layer = 2\ncontext-len = 32";
const DATA: &str = "tokenizer = \"bytes\"\nmixture = { notes = 1 }";

#[test]
fn a_wrong_sweep_file_is_shown_with_place_and_mend() {
    let bench = Workbench::new();
    for (name, text, parts) in [
        (
            "misspelt",
            sweep(GRID, MODEL, DATA, "bach-sequences = 4"),
            &["misspelt.toml:", "bach-sequences", "did you mean `batch-sequences`", "^"][..],
        ),
        (
            "type",
            sweep(GRID, "d-model = \"wide\"\nn-layer = 2", DATA, ""),
            &["type.toml:5", "d-model = \"wide\"", "a number, a list"],
        ),
        ("kind", sweep("kind = \"isoflopp\"", MODEL, DATA, ""), &["isoflopp", "isoflop"]),
        ("syntax", "[grid\nkind = 1".to_string(), &["syntax.toml:1"]),
        (
            "two",
            sweep("kind = \"product\"\nhorizon = { steps = 3, tokens = 4 }", MODEL, DATA, ""),
            &["two.toml:3", "horizon"],
        ),
        ("heads", sweep(GRID, "d-model = 18\nn-layer = 2\nn-head = 4", DATA, ""), &["divisible", "heads"]),
        ("warmup", sweep(GRID, MODEL, DATA, "warmup = { steps = 30 }"), &["warm-up"]),
        (
            "weight",
            sweep(GRID, MODEL, "tokenizer = \"bytes\"\nmixture = { notes = -1 }", ""),
            &["weight.toml:", "notes"],
        ),
        (
            "unknown",
            sweep(GRID, MODEL, "tokenizer = \"bytes\"\nmixture = { poems = 1 }", ""),
            &["poems", "notes"],
        ),
    ] {
        bench.write(&format!("{name}.toml"), &text);
        bench.expect(2, &["plan", &format!("{name}.toml"), "--no-speed"]).names(parts);
    }
    bench.expect(2, &["plan", "absent.toml"]).names(&["absent.toml", "scalelaw init"]);
}

#[test]
fn an_override_is_named_where_it_is_wrong() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench
        .expect(2, &["plan", "tiny.toml", "--set", "train.lrr=1"])
        .names(&["--set train.lrr=1", "did you mean `lr`"]);
    bench.expect(2, &["plan", "tiny.toml", "--set", "train"]).names(&["--set train"]);
}

#[test]
fn includes_in_a_circle_are_refused() {
    let bench = Workbench::new();
    bench.write("a.toml", "include = [\"b.toml\"]");
    bench.write("b.toml", "include = [\"a.toml\"]");
    bench.expect(2, &["plan", "a.toml"]).names(&["a.toml", "includes itself"]);
}

#[test]
fn wrong_text_is_named() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("empty")).unwrap();
    std::fs::create_dir(bench.path().join("garbage")).unwrap();
    std::fs::write(bench.path().join("garbage/x.bin"), [0xff, 0xfe, 0x00, 0x80].repeat(1000)).unwrap();
    bench.write("bad.jsonl", "{\"text\": \"a\"}\n{\"text\": 3}\n");
    bench.write("short.txt", "one document");
    std::fs::create_dir(bench.path().join("few")).unwrap();
    bench.write("few/a.txt", "too short to hold anything out");
    bench.write("few/b.txt", "and so is this");
    for (source, parts) in [
        ("{ files = [\"absent/*.txt\"] }", &["absent"][..]),
        ("{ files = [\"empty\"] }", &["empty"]),
        ("{ files = [\"garbage\"] }", &["garbage"]),
        ("{ files = [\"short.txt\"] }", &["only one document"]),
        ("{ files = [\"few\"] }", &["65536"]),
        ("{ jsonl = { files = [\"bad.jsonl\"], field = \"text\" } }", &["bad.jsonl", "2", "text"]),
    ] {
        let text = sweep(GRID, MODEL, DATA, "").replace("{ files = [\"notes\"] }", source);
        bench.write("sweep.toml", &text);
        let output = bench.scalelaw(&["run", "sweep.toml"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{source}: {:?}\n{stderr}", output.status);
        for part in parts {
            assert!(stderr.contains(part), "{source}: `{part}` is not named in\n{stderr}");
        }
        assert!(stderr.contains("hint"), "{source}: no mend in\n{stderr}");
    }
}

#[test]
fn limits_refuse_before_anything_starts() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(5, &["run", "tiny.toml", "--set", "limits.flops=1e6"]).names(&["limits.flops", "1.000e6"]);
    assert!(bench.path().join("runs/tiny").read_dir().is_err(), "a folder was made");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(7, &["run", "tiny.toml", "--device", "wgpu:99"]).names(&["wgpu:99", "scalelaw doctor"]);
}

#[test]
fn a_truncated_shard_is_named_and_nothing_else_is_lost() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20"]);
    let shard = find(&bench.path().join("cache"), "train-");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let name = shard.file_name().unwrap().to_string_lossy().into_owned();
    let output = bench.scalelaw(&["run", "tiny.toml"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(&name), "{stderr}");
    let finished = bench.run_folders("tiny").iter().filter(|run| run.join("record.json").exists()).count();
    assert_eq!(finished, 2, "the runs of before are kept");
}

#[test]
fn a_corrupt_record_is_named_and_not_trained_over() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml"]);
    let record = bench.run_folders("tiny")[0].join("record.json");
    std::fs::write(&record, "{ half").unwrap();
    let output = bench.scalelaw(&["run", "tiny.toml"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("record.json"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "{ half");
}

#[test]
fn a_corrupt_table_is_named() {
    let bench = Workbench::new();
    bench.write("noise.parquet", "no parquet");
    bench.write("empty.csv", "");
    bench.write("columns.csv", "size,toks,error\n1,2,3\n");
    for (file, parts) in [
        ("noise.parquet", &["noise.parquet"][..]),
        ("empty.csv", &["empty.csv"]),
        ("columns.csv", &["size", "toks", "error"]),
    ] {
        let output = bench.scalelaw(&["fit", file]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{file}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{file}: `{part}` is not named in\n{stderr}");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    // A file where the folder should be stops even root, whom permissions do not.
    bench.write("occupied", "");
    let said = bench.expect(1, &["run", "tiny.toml", "--runs", "occupied"]);
    said.names(&["occupied"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named_and_the_sweep_goes_on_once_there_is_room() {
    use std::process::Command;
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let disk = bench.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |size: &str| {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(&disk)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !mount("size=128k") {
        eprintln!("skipped: no right to mount a small disk here");
        return;
    }
    let args = ["run", "tiny.toml", "--runs", "disk"];
    let output = bench.scalelaw(&args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let grown = mount("remount,size=64m");
    let again = grown.then(|| bench.scalelaw(&args).output().unwrap());
    let records = std::fs::read_dir(disk.join("tiny")).map_or(0, |entries| {
        entries.filter(|entry| entry.as_ref().unwrap().path().join("record.json").exists()).count()
    });
    let _ = Command::new("umount").arg(&disk).output();
    assert!(!output.status.success() && stderr.contains("disk"), "{stderr}");
    assert!(
        stderr.contains("No space left") || stderr.contains("full") || stderr.contains("free"),
        "{stderr}"
    );
    if let Some(again) = again {
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(records, 4);
    }
}

/// The first file below `folder` whose name begins with `start`.
fn find(folder: &std::path::Path, start: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap().to_string_lossy().starts_with(start) {
                return path;
            }
        }
    }
    panic!("no file `{start}…` below {}", folder.display());
}
