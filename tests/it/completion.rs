//! Completion, tested by pressing TAB in a terminal.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::cli::skytail;
use crate::support::pty::Pty;
use crate::support::requires;

/// A shell in a terminal, which has read the completion script.
struct Shell {
    pty: Pty,
    child: Child,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home directory with saved cursors and a profile, and with another state file and another
/// configuration file.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    for name in ["unusual-name", "demo:odd*name", "key=value:rest"] {
        let set = skytail(home.path()).args(["cursors", "set", name, "12"]).output().unwrap();
        assert_eq!(set.status.code(), Some(0), "{set:?}");
    }
    let other = home.path().join("other one.db");
    let mut set = skytail(home.path());
    set.args(["cursors", "set", "elsewhere", "12", "--state"]).arg(&other);
    assert_eq!(set.status().unwrap().code(), Some(0));
    std::fs::write(home.path().join("other.toml"), "[profile.weekly-run]\nlimit = 1\n").unwrap();
    for directory in [home.path().join("skytail"), home.path().join(".config/skytail")] {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.toml"), "[profile.nightly-run]\nlimit = 1\n")
            .unwrap();
    }
    home
}

impl Shell {
    /// Starts a shell, and types the lines of `setup`, of which the last makes it print `ready> `
    /// as its prompt. Returns `None` if the shell is not installed.
    fn start(program: &str, args: &[&str], setup: &str, home: &Path) -> Option<Self> {
        let mut pty = Pty::sized(100, 30);
        let mut command = Command::new("setsid");
        for (name, value) in skytail(home).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let directory = Path::new(env!("CARGO_BIN_EXE_skytail")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", directory.display()));
        command.env("TERM", "xterm").args(["-c", program]).args(args);
        command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().ok();
        requires(program, found)?;
        let child = command.current_dir(env!("CARGO_MANIFEST_DIR")).spawn().ok();
        let child = requires("setsid", child)?;
        pty.started();
        let mut shell = Self { pty, child };
        shell.pty.type_keys(setup);
        shell.pty.read_until(|shown| shown.contains("ready> "));
        Some(shell)
    }

    /// Types the start of a line and TAB, waits until the shell shows `offered`, and clears the
    /// line.
    fn tab(&mut self, typed: &str, offered: &str) {
        let before = self.pty.read_until(|_| true).matches(offered).count();
        self.pty.type_keys(&format!("{typed}\t"));
        self.pty.read_until(|shown| shown.matches(offered).count() > before);
        self.pty.type_keys("\u{15}");
    }

    fn completes_everything(&mut self, home: &Path) {
        self.tab("skytail cursors show unu", "unusual-name");
        self.tab("skytail cursors rm unu", "unusual-name");
        self.tab("skytail tail --consumer unu", "unusual-name");
        self.tab("skytail tail --profile ni", "nightly-run");
        self.tab("skytail tail --cursor ol", "oldest");
        self.tab("skytail tail --cursor yes", "yesterday");
        self.tab("skytail tail --exit-wh", "--exit-when-live");
        // A name with a colon and a pattern character is quoted.
        self.tab("skytail cursors show demo:o", "dd\\*name");
        self.tab("skytail tail --consumer=key=v", "alue:rest");
        self.tab("skytail cursors show --state ~/other\\ one.db els", "elsewhere");
        let state = format!("--state='{}'", home.join("other one.db").display());
        self.tab(&format!("skytail tail {state} --consumer els"), "elsewhere");
        self.tab("skytail tail --config ~/other.toml --profile we", "weekly-run");
    }
}

#[test]
fn bash_completes_names_profiles_and_starts() {
    let home = home();
    let setup =
        "bind 'set enable-bracketed-paste off'; source completions/skytail.bash; PS1='rea''dy> '\n";
    let args = ["--norc", "--noprofile", "-i"];
    if let Some(mut bash) = Shell::start("bash", &args, setup, home.path()) {
        bash.completes_everything(home.path());
    }
}

#[test]
fn zsh_completes_names_profiles_and_starts() {
    let home = home();
    let setup =
        "fpath=($PWD/completions $fpath); autoload -U compinit; compinit -u -D; PS1='rea''dy> '\n";
    if let Some(mut zsh) = Shell::start("zsh", &["-f", "-i"], setup, home.path()) {
        zsh.completes_everything(home.path());
    }
}

#[test]
fn fish_completes_names_profiles_and_starts() {
    let home = home();
    let setup =
        "source completions/skytail.fish; function fish_prompt; echo -n rea\"\"dy'> '; end\n";
    if let Some(mut fish) = Shell::start("fish", &["--no-config", "-i"], setup, home.path()) {
        fish.completes_everything(home.path());
    }
}
