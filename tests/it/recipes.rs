//! The recipes of the README and of the reference, run as they stand there.
//!
//! Only names of hosts and of folders are replaced, because nothing here leaves loopback.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::cmd::{BINARY, Tlsweep};
use crate::support::peer::{Peer, Spec};
use crate::support::pki::CA;
use crate::support::programs::{Program, install_executable, shown};

const README: &str = include_str!("../../README.md");
const CHAPTER: &str = include_str!("../../src/manual/recipes.md");

/// The title of each recipe, the exit code, and what it prints.
const EXPECTED: &[(&str, i32, &str)] = &[
    ("One host", 0, "TLSv1.3"),
    ("Which of these cannot be reached, and why?", 0, "connect/refused"),
    ("The twenty certificates that expire first", 0, "trusted"),
    ("Which versions and groups are in use?", 0, "1 TLSv1.3 X25519MLKEM768"),
    ("CI: fail the job unless", 0, "trusted"),
    ("Mail servers: do they offer TLS", 0, "127.0.0.1"),
    ("Everything that one server speaks", 0, "TLSv1.3 TLS_AES"),
    ("Yesterday's results again", 1, "target,"),
    ("Which targets have another key", 0, ""),
    ("A picture of the same results", 0, "TLS sweep of 2 results"),
    ("A million lines, compressed", 0, ""),
    ("Somebody else's network, gently", 0, ""),
    ("The first 100,000 sites of a Tranco list", 0, ""),
    ("What zmap found", 0, ""),
    ("What masscan found", 0, ""),
    ("The hosts of a DNS zone", 0, ""),
    ("All shards in one report", 0, "TLS sweep of 2 results"),
    ("Parquet, by DuckDB", 0, "TLSv1.3"),
    ("Ten million hosts, politely", 0, ""),
];

/// Blocks of shell in a text.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

/// The recipes that begin with a comment in blocks that are no scripts.
fn recipes() -> Vec<&'static str> {
    let (_, readme) = README.split_once("## Recipes").unwrap();
    let (readme, _) = readme.split_once("## Reference").unwrap();
    let blocks = blocks(readme).chain(blocks(CHAPTER)).filter(|block| !block.starts_with("#!"));
    blocks.flat_map(|block| block.split("\n\n")).collect()
}

/// The script that says this of itself.
fn script(words: &str) -> &'static str {
    let scripts = blocks(CHAPTER).filter(|block| block.starts_with("#!/bin/sh\n"));
    let found: Vec<_> = scripts.filter(|script| script.contains(words)).collect();
    assert_eq!(found.len(), 1, "{words}");
    found[0]
}

/// A folder with everything that recipes name, and a `tlsweep` that knows the hosts.
struct Kitchen {
    dir: TempDir,
    good: Peer,
    refusing: Peer,
}

impl Kitchen {
    fn new() -> Self {
        let kitchen = Self {
            dir: TempDir::new().unwrap(),
            good: Spec::good().start(),
            refusing: Spec::refusing().start(),
        };
        let roots = CA.write_to(&kitchen.dir);
        let (good, closed) = (kitchen.good.target(), kitchen.refusing.target());
        // What a recipe dials on a port of its own is dialled there.
        let sweep = format!(
            "#!/bin/sh\nfor word; do\n  shift\n  case $word in\n    \
             www.example.com:443|www.example.com|example.com) word={good} ;;\n    \
             443|25) word={port} ;;\n  esac\n  set -- \"$@\" \"$word\"\ndone\n\
             case \" $* \" in *' --from '*) exec {BINARY} \"$@\" ;; esac\n\
             exec {BINARY} --roots {roots} \"$@\"\n",
            port = kitchen.good.addr.port(),
            roots = roots.display(),
        );
        kitchen.write_program(sweep);
        kitchen.write("hosts.txt", format!("{good}\n{closed}\n"));
        kitchen.write("mx.txt", "127.0.0.1\n");
        kitchen.write("open.txt", "127.0.0.1\n");
        let port = kitchen.good.addr.port();
        kitchen
            .write("open.list", format!("#masscan\nopen tcp {port} 127.0.0.1 1390380064\n# end\n"));
        kitchen.write("top-1m.csv", "1,localhost\r\n2,name.invalid\r\n");
        let zone =
            "localhost. 60 IN A 127.0.0.1\n*.test. 60 IN A 127.0.0.1\nlocalhost. 60 IN MX 1 x.\n";
        kitchen.write("zone.txt", zone);
        let swept = Tlsweep::json().args([Path::new("--roots"), &roots]).args(["-c", "1"]);
        let swept = swept.sweep([&good, &closed]);
        let lines = swept.assert_complete().text().to_owned();
        let (first, second) = lines.split_at(lines.find('\n').unwrap() + 1);
        kitchen.write("0.jsonl", first);
        kitchen.write("1.jsonl", second);
        kitchen.write("yesterday.jsonl", &lines);
        kitchen.write("results.jsonl", &lines);
        let soon = lines.replace(
            &format!("\"not_after\":{}", swept.records[0]["trust"]["not_after"]),
            &format!("\"not_after\":{}", swept.records[0]["time"]),
        );
        kitchen.write("results.jsonl.zst", zstd::encode_all(soon.as_bytes(), 1).unwrap());
        let pin = swept.records[0]["cert"]["spki_sha256"].as_str().unwrap();
        kitchen.write("spki.sha256", format!("{pin}\n"));
        kitchen
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// What a recipe starts as `tlsweep`.
    fn write_program(&self, script: impl AsRef<[u8]>) {
        self.write("bin/tlsweep.sh", script);
        install_executable(self.path("bin/tlsweep.sh"), self.path("bin/tlsweep"));
    }

    fn run(&self, text: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("bash");
        let engines =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("engines-venv/bin");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", self.path("bin").display(), engines.display());
        command.args(["-o", "pipefail", "-c", text, "recipe"]).args(arguments);
        command.current_dir(&self.dir).env("PATH", path).output().unwrap()
    }

    /// A script whose folders are here.
    fn run_script(&self, script: &str, arguments: &[&str]) -> Output {
        let here = |name: &str| self.path(name).display().to_string();
        let text = script
            .replace("PATH=/usr/local/bin:", &format!("PATH={}:", here("bin")))
            .replace("/var/lib/tlsweep", &here("state"))
            .replace("/etc/tlsweep/hosts.txt", &here("hosts.txt"));
        self.run(&text, arguments)
    }
}

#[test]
fn every_recipe_works_as_it_stands() {
    let Some(_jq) = Program::find("jq") else { return };
    let kitchen = Kitchen::new();
    let gzip = |text: &str| {
        let made = kitchen.run(&format!("printf '{text}' | gzip > million.txt.gz"), &[]);
        assert!(made.status.success(), "{}", shown(&made));
    };
    gzip(&format!("{}\\n", kitchen.refusing.target()));
    let recipes = recipes();
    let has_engines = Program::of_engines("python3").is_some();
    for recipe in &recipes {
        let title = recipe.strip_prefix("# ").unwrap_or_else(|| panic!("no title: {recipe}"));
        let expected = EXPECTED.iter().find(|(begins, ..)| title.starts_with(begins));
        let (begins, code, words) = expected.unwrap_or_else(|| panic!("not expected: {title}"));
        if begins.contains("DuckDB") && !has_engines {
            continue;
        }
        let output = kitchen.run(recipe, &[]);
        assert_eq!(output.status.code(), Some(*code), "{recipe}\n{}", shown(&output));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(words), "{recipe}\n{}", shown(&output));
    }
    assert_eq!(recipes.len(), EXPECTED.len(), "each recipe is there once");
    for (file, count) in [("zmap.jsonl", 1), ("masscan.jsonl", 1), ("zone.jsonl", 1)] {
        let lines = fs::read_to_string(kitchen.path(file)).unwrap();
        assert_eq!(lines.lines().count(), count, "{file}: {lines}");
    }
    let masscan = fs::read_to_string(kitchen.path("masscan.jsonl")).unwrap();
    assert!(masscan.contains(r#""ok":true"#), "{masscan}");
    let tranco = fs::read(kitchen.path("tranco.jsonl.zst")).unwrap();
    let tranco = String::from_utf8(zstd::decode_all(&tranco[..]).unwrap()).unwrap();
    assert!(tranco.contains(r#""target":"localhost","tag":"1""#), "{tranco}");
    assert!(fs::read_to_string(kitchen.path("all.html")).unwrap().contains("<html"));
}

#[test]
fn the_mail_comes_when_what_is_wrong_has_changed() {
    let kitchen = Kitchen::new();
    let script = script("/etc/cron.daily/tlsweep");
    let mail = || {
        let output = kitchen.run_script(script, &[]);
        assert!(output.stderr.is_empty() && output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let closed = kitchen.refusing.target();
    let first = mail();
    let reason = "    Connection refused (os error 111)";
    assert_eq!(first.lines().collect::<Vec<_>>(), [&format!("{closed}: connect/refused"), reason]);
    assert_eq!(mail(), "", "nothing has changed");
    kitchen.write("hosts.txt", format!("{closed}\nno target\n{}\n", kitchen.good.target()));
    let changed = mail();
    assert_eq!(changed.lines().count(), 4, "{changed}");
    kitchen.write("hosts.txt", kitchen.good.target());
    assert_eq!(mail(), "", "nothing is wrong");
    let left: Vec<_> = fs::read_dir(kitchen.path("state")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    fs::remove_file(kitchen.path("hosts.txt")).unwrap();
    let output = kitchen.run_script(script, &[]);
    assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{}", shown(&output));
}

#[test]
fn the_plugin_has_the_exit_codes_of_nagios() {
    let kitchen = Kitchen::new();
    let script = script("check_tlsweep");
    for (target, code, words) in [
        (kitchen.good.target(), 0, " days left\n"),
        (kitchen.refusing.target(), 2, ": connect/refused, Connection refused (os error 111)\n"),
        (String::new(), 2, ": input/invalid_target, "),
    ] {
        let output = kitchen.run_script(script, &[&target]);
        assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let status = if code == 0 { "TLS OK: " } else { "TLS CRITICAL: " };
        assert!(text.starts_with(status) && text.contains(words), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    kitchen.write_program("#!/bin/sh\nexit 3\n");
    let output = kitchen.run_script(script, &["a.test"]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
}
