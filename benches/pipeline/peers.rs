//! Other clients, if they are installed.

use super::measure::Program;

/// A client that prints every message as a line.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub name: &'static str,
    words: &'static [&'static str],
}

/// The known clients. `{}` stands for the server's URL.
const PEERS: &[Peer] = &[
    Peer { name: "websocat", words: &["websocat", "-n", "-U", "{}"] },
    Peer {
        name: "Python websockets",
        words: &[
            "python3",
            "-c",
            "import sys, websockets.sync.client as c\n\
             with c.connect(sys.argv[1], max_size=None, compression=None) as w:\n \
             for m in w: sys.stdout.write(m + '\\n')",
            "{}",
        ],
    },
];

/// Returns the installed clients, if they were requested.
pub fn installed(is_wanted: bool) -> Vec<Peer> {
    let is_here = |peer: &&Peer| {
        let probe: &[&str] = match peer.words {
            ["python3", ..] => &["-c", "import websockets.sync.client"],
            _ => &["--version"],
        };
        let mut command = std::process::Command::new(peer.words[0]);
        let quiet = command.args(probe).stdout(std::process::Stdio::null());
        let quiet = quiet.stderr(std::process::Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    let (here, missing): (Vec<&Peer>, Vec<&Peer>) = PEERS.iter().partition(is_here);
    if is_wanted {
        for peer in missing {
            eprintln!("not installed: {}", peer.name);
        }
    }
    here.into_iter().copied().filter(|_| is_wanted).collect()
}

impl Peer {
    pub fn program(&self, host: &str) -> Program {
        let url = format!("ws://{host}/subscribe");
        let words = self.words.iter().map(|word| word.replace("{}", &url));
        Program::new(self.name, words)
    }
}
