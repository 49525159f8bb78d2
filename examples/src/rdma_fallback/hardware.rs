//! Whether this machine has RDMA, and else what it lacks.

use std::fmt;
use std::fs;
use std::path::Path;

/// A port that could serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// The device, such as `mlx5_0`.
    pub device: String,
    /// Its port, from 1.
    pub port: u32,
    /// What is beneath: `InfiniBand`, or `Ethernet` where it is `RoCE`.
    pub link: String,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoHardware {
    /// The kernel has no RDMA: no module is loaded, or this is no Linux.
    NoKernelSupport,
    /// The kernel has it, and no device.
    NoDevice,
    /// No port of the devices is up; each with what it says of itself.
    NoActivePort(Vec<String>),
    /// A port is up, and programs cannot get at it: there is no `/dev/infiniband/uverbs*`.
    NoVerbs(Hardware),
}

impl Hardware {
    /// The first port that is up, of the machine whose file system this is (`/`).
    ///
    /// # Errors
    ///
    /// What the machine lacks.
    pub fn find(root: &Path) -> Result<Hardware, NoHardware> {
        let devices = names(&root.join("sys/class/infiniband")).ok_or(NoHardware::NoKernelSupport)?;
        if devices.is_empty() {
            return Err(NoHardware::NoDevice);
        }
        let mut down = Vec::new();
        for device in devices {
            let ports = root.join("sys/class/infiniband").join(&device).join("ports");
            let mut numbers: Vec<u32> = names(&ports)
                .into_iter()
                .flatten()
                .filter_map(|name| name.parse().ok())
                .collect();
            numbers.sort_unstable();
            for port in numbers {
                let told = |file: &str| {
                    let text = fs::read_to_string(ports.join(port.to_string()).join(file));
                    text.map(|text| text.trim().to_owned()).unwrap_or_default()
                };
                // `4: ACTIVE`, as ibv_port_state has it.
                let state = told("state");
                if state.starts_with("4:") {
                    let link = told("link_layer");
                    let found = Hardware { device, port, link };
                    let verbs = names(&root.join("dev/infiniband")).unwrap_or_default();
                    return if verbs.iter().any(|name| name.starts_with("uverbs")) {
                        Ok(found)
                    } else {
                        Err(NoHardware::NoVerbs(found))
                    };
                }
                down.push(format!("{device}/{port} is {state:?}"));
            }
        }
        Err(NoHardware::NoActivePort(down))
    }
}

/// The names in a folder, in order; `None` where there is no folder.
fn names(folder: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(folder).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Some(names)
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.device, self.port, self.link)
    }
}

impl fmt::Display for NoHardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHardware::NoKernelSupport => {
                f.write_str("the kernel has no RDMA (/sys/class/infiniband is missing; is ib_core loaded?)")
            }
            NoHardware::NoDevice => f.write_str("there is no RDMA device in /sys/class/infiniband"),
            NoHardware::NoActivePort(ports) => write!(f, "no RDMA port is active: {}", ports.join(", ")),
            NoHardware::NoVerbs(found) => write!(
                f,
                "{found} is active, and there is no /dev/infiniband/uverbs* (is ib_uverbs loaded, and mounted here?)"
            ),
        }
    }
}

impl std::error::Error for NoHardware {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Hardware, NoHardware};

    fn port(root: &Path, device: &str, number: u32, state: &str) {
        let folder = root.join(format!("sys/class/infiniband/{device}/ports/{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("state"), format!("{state}\n")).unwrap();
        fs::write(folder.join("link_layer"), "Ethernet\n").unwrap();
    }

    #[test]
    fn each_thing_that_a_machine_may_lack_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let lacks = || Hardware::find(root).unwrap_err();
        assert_eq!(lacks(), NoHardware::NoKernelSupport);
        fs::create_dir_all(root.join("sys/class/infiniband")).unwrap();
        assert_eq!(lacks(), NoHardware::NoDevice);
        port(root, "mlx5_0", 1, "1: DOWN");
        port(root, "mlx5_1", 1, "2: INIT");
        assert_eq!(
            lacks().to_string(),
            r#"no RDMA port is active: mlx5_0/1 is "1: DOWN", mlx5_1/1 is "2: INIT""#
        );
        port(root, "mlx5_1", 2, "4: ACTIVE");
        assert!(
            lacks()
                .to_string()
                .starts_with("mlx5_1/2 (Ethernet) is active, and there is no")
        );
        fs::create_dir_all(root.join("dev/infiniband")).unwrap();
        fs::write(root.join("dev/infiniband/rdma_cm"), "").unwrap();
        assert!(matches!(lacks(), NoHardware::NoVerbs(_)));
        fs::write(root.join("dev/infiniband/uverbs1"), "").unwrap();
        assert_eq!(Hardware::find(root).unwrap().to_string(), "mlx5_1/2 (Ethernet)");
    }
}
