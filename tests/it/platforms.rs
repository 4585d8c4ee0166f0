//! `src/platform` is the only module that asks which system it is built for, its files offer the
//! same functions, and the packages for other systems agree with their documents.

use std::collections::BTreeSet;
use std::path::Path;

use crate::invariants::rust_files;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the part of a source file that is not a test.
fn without_tests(source: &str) -> &str {
    source.split("\nmod tests {").next().unwrap()
}

/// Returns whether a line of code depends on the operating system.
fn depends_on_the_system(line: &str) -> bool {
    let condition = line.split_once("cfg").is_some_and(|(_, rest)| {
        ["unix", "windows", "target_os", "target_family"].iter().any(|name| rest.contains(name))
    });
    // The condition of a module of tests.
    let is_of_tests = line.contains("all(test,");
    let names_it = ["rustix::", "std::os::", "signal::unix", "signal::windows"];
    (condition && !is_of_tests) || names_it.iter().any(|name| line.contains(name))
}

#[test]
fn only_the_platform_module_asks_for_the_system() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    let mut found = Vec::new();
    for path in files.iter().filter(|path| !path.starts_with(source.join("platform"))) {
        let text = std::fs::read_to_string(path).unwrap();
        for (i, line) in without_tests(&text).lines().enumerate() {
            let is_code = !line.trim_start().starts_with("//") && !is_test(path);
            if is_code && depends_on_the_system(line) {
                found.push(format!("{}:{}: {line}", path.display(), i + 1));
            }
        }
    }
    assert!(found.is_empty(), "move this into src/platform:\n{}", found.join("\n"));
}

#[test]
fn code_for_one_system_is_recognised() {
    for line in ["#[cfg(unix)]", "if cfg!(windows) {", "#[cfg(not(target_os = \"linux\"))]"] {
        assert!(depends_on_the_system(line), "{line}");
    }
    for line in ["use std::os::fd::AsFd;", "rustix::process::geteuid()"] {
        assert!(depends_on_the_system(line), "{line}");
    }
    for line in ["#[cfg(test)]", "#[cfg(all(test, unix))]", "#[cfg(feature = \"nats\")]"] {
        assert!(!depends_on_the_system(line), "{line}");
    }
}

/// Returns the signatures that a file of the platform module offers: what follows `pub` or
/// `pub(super)`, up to the body, without the underscores and types that only some systems need.
fn offered(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in source.lines().map(str::trim_start) {
        let Some(rest) = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(super) "))
        else {
            continue;
        };
        if rest.starts_with("use ") {
            continue;
        }
        let end = rest.find(" {").or_else(|| rest.find(" = ")).unwrap_or(rest.len());
        let signature = rest[..end].trim_end_matches(';');
        found.insert(signature.replace("(_", "(").replace(", _", ", ").replace("mut ", ""));
    }
    found
}

#[test]
fn every_system_offers_the_same_functions() {
    let (linux, others) = (read("src/platform/linux.rs"), read("src/platform/no_linux.rs"));
    assert_eq!(offered(&linux), offered(&others));
    // `unix.rs` passes on what `linux.rs` offers to the rest of the crate.
    let public = |source: &str| {
        let lines = source.lines().filter(|line| !line.starts_with("pub(super)"));
        offered(&lines.collect::<Vec<_>>().join("\n"))
    };
    let unix: BTreeSet<String> =
        public(&read("src/platform/unix.rs")).union(&public(&linux)).cloned().collect();
    assert!(unix.len() > 30, "{unix:?}");
    assert_eq!(unix, public(&read("src/platform/windows.rs")));
}

#[test]
fn the_page_about_platforms_names_every_file_and_command() {
    let page = read("docs/internals/platforms.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "mod.rs" {
            assert!(page.contains(&format!("`src/platform/{name}`")), "{name} is not there");
        }
    }
    for command in ["systems", "windows", "musl", "empty-root", "deb"] {
        assert!(page.contains(&format!("`.ci/{command}`")), ".ci/{command} is not there");
        assert!(!read(&format!(".ci/{command}")).is_empty());
    }
}

#[test]
fn the_archive_has_the_name_that_binstall_asks_for() {
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let text = |key: &str| binstall[key].as_str().unwrap().to_owned();
    let filled = |template: String| {
        let template = template.replace("{ name }", "skytail").replace("{ bin }", "skytail");
        let template = template.replace("{ version }", "$version").replace("{ binary-ext }", "");
        template.replace("{ target }", "$target")
    };
    let script = read(".ci/musl");
    let name = script.lines().find_map(|line| line.strip_prefix("name=")).unwrap();
    let name = name.trim_matches('"');
    assert!(filled(text("pkg-url")).ends_with(&format!("/{name}.tgz")), "{name}");
    assert_eq!(filled(text("bin-dir")), format!("{name}/skytail"));
    assert_eq!(text("pkg-fmt"), "tgz");
}

#[test]
fn the_image_has_what_the_check_in_an_empty_root_uses() {
    let (image, script) = (read("packaging/Dockerfile"), read(".ci/empty-root"));
    let word = |instruction: &str| {
        let line = image.lines().find_map(|line| line.strip_prefix(instruction));
        line.unwrap_or_else(|| panic!("no {instruction}")).to_owned()
    };
    assert_eq!(word("FROM "), "scratch");
    assert_eq!(word("ENTRYPOINT "), "[\"/skytail\"]");
    assert!(script.contains(&format!("--userspec={} ", word("USER "))));
    assert!(script.contains(&format!("(env -i {}\n", word("ENV "))), "{}", word("ENV "));
}
