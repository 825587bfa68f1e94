//! The recipes for engines that exist, in the reference and in `tests/engines`, tried for real.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tlsweep::config;
use tlsweep::manual::CHAPTERS;

use crate::support::cmd::{BINARY, decode_lines, sorted};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, shown};

/// Parts of a list, on Kubernetes and on Slurm.
const PARTS: usize = 64;

#[test]
fn gnu_parallel() {
    if Program::find("parallel").is_some() {
        assert_recipe_works("parallel --pipe");
    }
}

#[test]
fn xargs() {
    if Program::find("xargs").is_some() {
        assert_recipe_works("xargs -P");
    }
}

/// Runs the line of the chapter on engines that begins so, on a list that is enough for several processes.
fn assert_recipe_works(beginning: &str) {
    let list = List::of(2500);
    let chapter = CHAPTERS.iter().find(|chapter| chapter.name == "machines").unwrap();
    let recipe = chapter.text.lines().find(|line| line.starts_with(beginning)).unwrap();
    let output = list.run(Command::new("sh").args(["-ec", recipe]));
    assert!(output.status.success(), "{recipe}: {}", shown(&output));
    let results = fs::read_to_string(list.dir.path().join("results.jsonl")).unwrap();
    list.assert_swept(&results);
    let numbers = decode_lines(&results).into_iter().map(|record| record["number"].to_string());
    assert!(numbers.collect::<HashSet<_>>().len() < 2500, "there was one process only");
}

#[test]
fn spark() {
    let list = List::of(10);
    // So many that some of them get no line.
    let Some(output) = submit_to_spark(&list, "24", &["tlsweep", "-qj"]) else { return };
    assert!(output.status.success(), "{}", shown(&output));
    let parts = list.parts("results");
    list.assert_swept(&parts.concat());
    assert!(parts.iter().any(String::is_empty), "no partition was empty");
}

#[test]
fn spark_hears_of_a_failure() {
    let list = List::of(1);
    let Some(output) = submit_to_spark(&list, "1", &["tlsweep", "--no-such-flag"]) else { return };
    assert!(!output.status.success(), "{}", shown(&output));
    assert!(shown(&output).contains("exited with error code 2"), "{}", shown(&output));
}

/// Runs `spark_pipe.py` with this command in a Spark of its own, into the directory `results`.
fn submit_to_spark(list: &List, partitions: &str, command: &[&str]) -> Option<Output> {
    let (Some(_java), Some(spark)) = (Program::find("java"), Program::of_engines("spark-submit"))
    else {
        return None;
    };
    let python = Program::of_engines("python3")?;
    let mut run = Command::new("timeout");
    run.args(["300", spark.path(), "--master", "local[2]", "--conf", "spark.ui.enabled=false"])
        // A short run is compiled for little gain.
        .args(["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"])
        .arg(engine("spark_pipe.py"))
        .args(["--partitions", partitions, "hosts.txt", "results"])
        .args(command)
        .env("PYSPARK_PYTHON", python.path())
        .env("SPARK_LOCAL_IP", "127.0.0.1");
    Some(list.run(&mut run))
}

#[test]
fn slurm_array() {
    let list = List::of(500);
    let script = engine("slurm-array.sh");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.contains(&format!("\n#SBATCH --array=0-{}\n", PARTS - 1)), "{text}");
    assert!(text.contains("\n#SBATCH --signal=B:TERM@"), "{text}");
    // The signal is for the process of the script.
    assert!(text.lines().any(|line| line.starts_with("exec tlsweep ")), "{text}");

    let submit = || {
        for part in 0..PARTS {
            let mut task = Command::new("bash");
            task.arg(&script).arg("hosts.txt").env("SLURM_ARRAY_TASK_ID", part.to_string());
            let output = list.run(&mut task);
            assert!(output.status.success(), "{}", shown(&output));
        }
        list.parts(".")
    };
    let first = submit();
    assert_eq!(first.len(), PARTS);
    list.assert_swept(&first.concat());
    // Submitted again, there is nothing left to do.
    assert_eq!(submit(), first);
}

#[test]
fn slurm_array_wants_a_list() {
    let output = Command::new("bash")
        .arg(engine("slurm-array.sh"))
        .env("SLURM_ARRAY_TASK_ID", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(shown(&output).contains("usage"), "{}", shown(&output));
}

#[test]
fn kubernetes_job() {
    let manifest = engine("kubernetes-job.yaml");
    let (Some(validate), Some(python)) =
        (Program::of_engines("kubernetes-validate"), Program::of_engines("python3"))
    else {
        return;
    };
    let output = validate.run(["--strict", manifest.to_str().unwrap()]);
    assert!(output.status.success(), "{}", shown(&output));

    let to_json =
        "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = python.run(["-c", to_json, manifest.to_str().unwrap()]);
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(PARTS), &json!(PARTS)));
    assert!(spec["backoffLimitPerIndex"].as_u64().unwrap() > 0);

    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    // The policy on failures allows no other.
    assert_eq!(pod["restartPolicy"], "Never");
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(grace > config::GRACE + Duration::from_secs(1), "{grace:?}");
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let on_exit = |action: &str| {
        let rule = rules.iter().find(|rule| rule["action"] == action).unwrap();
        assert_eq!(rule["onExitCodes"]["containerName"], container["name"]);
        assert_eq!(rule["onExitCodes"]["operator"], "In");
        rule["onExitCodes"]["values"].clone()
    };
    assert_eq!((on_exit("FailIndex"), on_exit("Count")), (json!([2]), json!([3])));
    let ignored = rules.iter().find(|rule| rule["action"] == "Ignore").unwrap();
    assert_eq!(ignored["onPodConditions"][0]["type"], "DisruptionTarget");
    // No shell between the signal and the program.
    assert_eq!(container["command"], json!(["/usr/local/bin/tlsweep"]));

    assert_container_sweeps_its_part(container);
}

/// Runs what the container runs, but for where the volumes are.
fn assert_container_sweeps_its_part(container: &Value) {
    let list = List::of(500);
    let here = list.dir.path().to_str().unwrap();
    fs::copy(list.dir.path().join("hosts.txt"), list.dir.path().join("targets.txt")).unwrap();
    for part in 0..PARTS {
        let args = container["args"].as_array().unwrap().iter().map(|arg| {
            let arg = arg.as_str().unwrap().replace("$(JOB_COMPLETION_INDEX)", &part.to_string());
            arg.replace("=/targets/", &format!("={here}/"))
                .replace("=/results/", &format!("={here}/"))
        });
        let output = list.run(Command::new(BINARY).args(args));
        assert!(output.status.success(), "{}", shown(&output));
    }
    list.assert_swept(&list.parts(".").concat());
}

#[test]
fn duckdb() {
    let Some(python) = Program::of_engines("python3") else { return };
    let list = List::of(40);
    for part in 0..2 {
        let shard = format!("{part}/2");
        let file = fs::File::create(list.dir.path().join(format!("out.{part}.jsonl"))).unwrap();
        let mut sweep = Command::new(BINARY);
        sweep.args(["-qj", "-f", "hosts.txt", "--shard", &shard]).stdout(file);
        assert!(list.run(&mut sweep).status.success());
    }
    let mut example = python.command();
    let output = list.run(example.arg(engine("duckdb_example.py")).arg("out.*.jsonl"));
    assert!(output.status.success(), "{}", shown(&output));
    let answers = String::from_utf8(output.stdout).unwrap();
    let row = |words: &[&str]| {
        let is_it = |line: &str| {
            let cells: Vec<_> =
                line.split('│').map(str::trim).filter(|it| !it.is_empty()).collect();
            cells.starts_with(words)
        };
        assert!(answers.lines().any(is_it), "{words:?}: {answers}");
    };
    row(&["connect/refused", "20"]);
    row(&["ok", "19"]);
    row(&["input/invalid_target", "1"]);
    row(&["TLSv1.3", "X25519MLKEM768", "19"]);
}

/// A list, `hosts.txt`, in a directory of its own. Half of its hosts refuse, and one line is not a
/// target.
struct List {
    dir: TempDir,
    targets: Vec<String>,
    _peers: [Peer; 2],
}

impl List {
    fn of(count: usize) -> Self {
        let peers = [Spec::refusing(), Spec::good()].map(|it| it.on_all_of_loopback().start());
        let target = |number: usize| {
            let port = peers[number % 2].addr.port();
            format!("127.7.{}.{}:{port}", number / 250, number % 250 + 1)
        };
        let mut targets: Vec<_> = (0..count).map(target).collect();
        if let Some(last) = targets.get_mut(1..).and_then(<[_]>::last_mut) {
            *last = "no:target:at:all!".to_owned();
        }
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("hosts.txt"), targets.join("\n") + "\n").unwrap();
        Self { dir, targets, _peers: peers }
    }

    /// Runs a command to its end in the directory of the list, with tlsweep on the PATH.
    fn run(&self, command: &mut Command) -> Output {
        let mut path = Path::new(BINARY).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        command
            .current_dir(self.dir.path())
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What is in the files of results there.
    fn parts(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        let is_part = |file: &&PathBuf| {
            let name = file.file_name().unwrap().to_str().unwrap();
            name.starts_with("part-") || name.starts_with("out.")
        };
        files.iter().filter(is_part).map(|file| fs::read_to_string(file).unwrap()).collect()
    }

    /// Every target has one line, and the lines are true.
    fn assert_swept(&self, results: &str) {
        let records = decode_lines(results);
        let targets = records.iter().map(|record| record["target"].as_str().unwrap().to_owned());
        assert_eq!(sorted(targets), sorted(self.targets.clone()), "lost or doubled lines");
        let ok = records.iter().filter(|record| record["ok"] == true).count();
        assert_eq!(ok, (self.targets.len() / 2).saturating_sub(1), "{results}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn engine(file: &str) -> PathBuf {
    root().join("tests/engines").join(file)
}
