//! File systems that are full or read-only.

use std::path::PathBuf;
use std::process::Command;

/// A mounted file system of a given size, unmounted on drop.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts it, or returns `None` if this process may not mount.
    pub fn new(at: PathBuf, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = mount(&["-t", "tmpfs", "-o", &options, "tmpfs", at.to_str().unwrap()]);
        super::requires("root, to mount a file system", mounted.then_some(Self(at)))
    }

    /// Mounts it again with other options.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(mount(&["-o", &options, self.0.to_str().unwrap()]));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(args: &[&str]) -> bool {
    Command::new("mount").args(args).output().is_ok_and(|output| output.status.success())
}
