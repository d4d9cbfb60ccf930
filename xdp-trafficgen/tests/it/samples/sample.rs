//! The samples of `config/`, read in the plainest way: from the TOML, without any of the code under
//! test.

pub(crate) mod departures;
pub(crate) mod header;
pub(crate) mod values;

use std::{fs, net::IpAddr, ops::RangeInclusive, path::Path};

use self::{
    departures::{Departures, seconds},
    header::Header,
};

/// A file of `config/`.
pub(crate) struct Sample {
    /// The name of the file, without folder and extension.
    pub(crate) name: String,
    pub(crate) path: String,
    /// The flows of each port, in the file's order, beside the port's name; ports in the file's
    /// order.
    pub(crate) ports: Vec<(String, Vec<Flow>)>,
    /// When the frames of each port leave, where it has a rate.
    pub(crate) departures: Vec<Option<Departures>>,
}

pub(crate) struct Flow {
    pub(crate) name: String,
    pub(crate) weight: u64,
    pub(crate) packets: u64,
    pub(crate) sizes: Sizes,
    /// Outer to inner.
    pub(crate) headers: Vec<Header>,
    pub(crate) payload: Option<toml::Value>,
    /// When its frames leave, where it has a rate of its own.
    pub(crate) departures: Option<Departures>,
}

/// Bytes on the wire, FCS included.
#[derive(Debug)]
pub(crate) enum Sizes {
    /// These sizes, one after the other, repeatedly.
    Order(Vec<u64>),
    /// Sizes and their exact share of a cycle.
    Shares(Vec<(u64, u64)>),
    Between(RangeInclusive<u64>),
}

impl Sample {
    /// All samples there are, new ones included.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut samples: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
        samples.sort();
        assert!(!samples.is_empty(), "no samples");
        samples.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let table: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let array = |key: &str| table[key].as_array().unwrap().clone();
        let name_of = |value: &toml::Value, key: &str| value[key].as_str().unwrap().to_owned();
        let folder = path.parent().unwrap();
        // A veth reports ten gigabits a second (drivers/net/veth.c).
        let speed = |port: &toml::Value| {
            port.get("speed").map_or(1e10, |speed| match number_of(speed.as_str().unwrap()) {
                (number, "Gbps") => number * 1e9,
                (_, other) => panic!("teach this test the unit {other}"),
            })
        };
        // Where flows share a rate, in frames a second.
        let of_port = |port: &toml::Value| {
            port.get("rate").map(|rate| Departures::read(rate, 0.0, f64::NAN, speed(port), folder))
        };
        let of_flow = |flow: &toml::Value, speed: f64| {
            let size =
                flow.get("size").and_then(toml::Value::as_integer).map_or(64.0, |size| size as f64);
            let delay = flow.get("delay").map_or(0.0, seconds);
            flow.get("rate").map(|rate| Departures::read(rate, delay, size, speed, folder))
        };
        let ports = array("ports").into_iter().map(|port| {
            let speed = speed(&port);
            let port = name_of(&port, "name");
            let flows = array("flows");
            let own = flows.iter().filter(|flow| name_of(flow, "port") == port).map(|flow| Flow {
                name: name_of(flow, "name"),
                weight: flow.get("weight").map_or(1, integer),
                packets: integer(
                    flow.get("packets")
                        .unwrap_or_else(|| panic!("{}: a flow without end", path.display())),
                ),
                sizes: flow.get("size").map_or(Sizes::Order(vec![64]), sizes),
                headers: flow["packet"].as_array().unwrap().iter().map(Header::read).collect(),
                payload: flow.get("payload").cloned(),
                departures: of_flow(flow, speed),
            });
            (port.clone(), own.collect())
        });
        Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            path: path.to_str().unwrap().to_owned(),
            ports: ports.collect(),
            departures: array("ports").iter().map(of_port).collect(),
        }
    }
}

impl Sample {
    /// Whether anything in it has a rate.
    pub(crate) fn is_paced(&self) -> bool {
        let flows = self.ports.iter().flat_map(|(_, flows)| flows).map(|flow| &flow.departures);
        flows.chain(&self.departures).any(Option::is_some)
    }
}

impl Flow {
    /// The total bytes of all of its frames: a range where sizes are random.
    pub(crate) fn bytes(&self) -> RangeInclusive<u64> {
        match &self.sizes {
            Sizes::Order(sizes) => {
                let cycle = sizes.len() as u64;
                let rest = usize::try_from(self.packets % cycle).unwrap();
                let bytes = self.packets / cycle * sizes.iter().sum::<u64>()
                    + sizes[..rest].iter().sum::<u64>();
                bytes..=bytes
            }
            Sizes::Shares(shares) => {
                let cycle: u64 = shares.iter().map(|(_, share)| share).sum();
                let (cycles, rest) = (self.packets / cycle, self.packets % cycle);
                let bytes = cycles * shares.iter().map(|(size, share)| size * share).sum::<u64>();
                let sizes = || shares.iter().map(|&(size, _)| size);
                bytes + rest * sizes().min().unwrap()..=bytes + rest * sizes().max().unwrap()
            }
            Sizes::Between(sizes) => self.packets * sizes.start()..=self.packets * sizes.end(),
        }
    }
}

/// The mixes the samples use (open-traffic-generator/models, `flow/size.yaml`), and the letters
/// (RFC 6985 section 3).
fn sizes(size: &toml::Value) -> Sizes {
    let shares = |shares: &[(u64, u64)]| Sizes::Shares(reduced(shares));
    match size {
        toml::Value::Integer(_) => Sizes::Order(vec![integer(size)]),
        toml::Value::String(name) => match name.as_str() {
            "imix" => shares(&[(64, 7), (570, 4), (1518, 1)]),
            "ipsec_imix" => shares(&[(90, 5867), (92, 200), (594, 2366), (1418, 1567)]),
            "tcp_imix" => shares(&[(90, 5867), (92, 200), (594, 2366), (1518, 1567)]),
            other => panic!("teach this test the mix {other}"),
        },
        _ if size.get("increment").is_some() => {
            let form = &size["increment"];
            let step = form.get("step").map_or(1, integer);
            let sizes = integer(&form["start"])..=integer(&form["end"]);
            Sizes::Order(sizes.step_by(usize::try_from(step).unwrap()).collect())
        }
        _ if size.get("random").is_some() => {
            Sizes::Between(integer(&size["random"]["min"])..=integer(&size["random"]["max"]))
        }
        _ if size.get("weighted").is_some() => {
            let pairs = size["weighted"].as_array().unwrap().iter();
            shares(
                &pairs
                    .map(|pair| (integer(&pair["size"]), integer(&pair["weight"])))
                    .collect::<Vec<_>>(),
            )
        }
        _ => {
            let of = |letter| match letter {
                'a' => 64,
                'b' => 128,
                'c' => 256,
                'd' => 512,
                'e' => 1024,
                'f' => 1280,
                'g' => 1518,
                _ => integer(&size["z"]),
            };
            Sizes::Order(size["genome"].as_str().unwrap().chars().map(of).collect())
        }
    }
}

/// The same shares in the smallest whole numbers.
pub(crate) fn reduced(shares: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let least = shares.iter().map(|&(_, share)| share).min().unwrap();
    let divisor = (1..=least)
        .rev()
        .find(|divisor| shares.iter().all(|(_, share)| share % divisor == 0))
        .unwrap();
    shares.iter().map(|&(what, share)| (what, share / divisor)).collect()
}

pub(crate) fn integer(value: &toml::Value) -> u64 {
    u64::try_from(value.as_integer().unwrap_or_else(|| panic!("{value} is no integer"))).unwrap()
}

/// A value as people and tshark write it, as a number.
pub(crate) fn number(text: &str) -> u128 {
    if let Some(hex) = text.strip_prefix("0x") {
        return u128::from_str_radix(hex, 16).unwrap();
    }
    match (text, text.parse::<IpAddr>()) {
        ("True", _) => 1,
        ("False", _) => 0,
        (_, Ok(IpAddr::V4(address))) => u32::from(address).into(),
        (_, Ok(IpAddr::V6(address))) => address.into(),
        _ if text.len() == 17 && text.contains(':') => {
            u128::from_str_radix(&text.replace(':', ""), 16).unwrap()
        }
        _ => text.parse().unwrap_or_else(|_| panic!("`{text}` is no number")),
    }
}

/// A number and what is behind it: `20 kpps`.
pub(crate) fn number_of(text: &str) -> (f64, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap();
    (text[..end].parse().unwrap(), text[end..].trim())
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|letter| *letter != ' ')
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// A frame as `show` prints it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) flow: String,
    pub(crate) size: u64,
    /// When it leaves, in seconds with nine decimals.
    pub(crate) at: Option<String>,
}

/// The frames of each port that `show` printed, beside the port's name. The frames must be numbered
/// from the first on.
#[track_caller]
pub(crate) fn shown(text: &str) -> Vec<(String, Vec<Shown>)> {
    let mut ports: Vec<(String, Vec<Shown>)> = Vec::new();
    let mut listing = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("frames of port ") {
            ports.push((heading.split(' ').next().unwrap().to_owned(), Vec::new()));
            listing = Some(heading.contains("when it leaves"));
        } else if line.is_empty() {
            listing = None;
        } else if let Some(has_times) = listing {
            let frames = &mut ports.last_mut().unwrap().1;
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_else(|| panic!("`{line}` is cut short"));
            assert_eq!(word(), (frames.len() + 1).to_string(), "{line}");
            let (flow, size) = (word().to_owned(), word().parse().unwrap());
            let at = has_times.then(|| {
                let [at, time, unit] = [word(), word(), word()];
                assert_eq!((at, unit), ("at", "s"), "{line}");
                time.to_owned()
            });
            frames.push(Shown { flow, size, at });
        }
    }
    ports
}
