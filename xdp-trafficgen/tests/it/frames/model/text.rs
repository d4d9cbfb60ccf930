//! The configuration file that asks for the model's flows.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use xdp_trafficgen::packet::{FieldDef, FieldType, HeaderKind};

use super::{Advance, At, Checksum, Count, Flow, Follow, Header, Pattern, Payload, Setting, Size};

/// Flows `0`, `1`, … of a port whose workers are on `cpus`.
pub(crate) fn toml(flows: &[Flow], cpus: &[u32], action: &str) -> String {
    let mut text = format!(
        "[[ports]]\nname = 'west'\ninterface = 'p0'\naction = '{action}'\ncpus = {cpus:?}\n"
    );
    for (number, flow) in flows.iter().enumerate() {
        let _ = write!(text, "\n[[flows]]\nname = '{number}'\nport = 'west'\n{}", flow.toml());
    }
    text
}

impl Flow {
    /// The table of `flows`, without its name and port.
    pub(crate) fn toml(&self) -> String {
        let weight =
            if self.weight == 1 { String::new() } else { format!("weight = {}\n", self.weight) };
        let mut text = format!(
            "{weight}size = {}\npayload = {}\npacket = [\n",
            self.size.toml(),
            self.payload.toml()
        );
        for header in &self.headers {
            let _ = writeln!(
                text,
                "  {{ {} = {{ {} }} }},",
                header.kind.name(),
                self.entries(header).join(", ")
            );
        }
        text + "]\n"
    }

    fn entries(&self, header: &Header) -> Vec<String> {
        let is_bits = |setting: &&Setting| setting.field.name.starts_with("bits[");
        let mut entries: Vec<String> = header
            .fields
            .iter()
            .filter(|setting| !is_bits(setting))
            .map(|setting| format!("{} = {}", setting.field.name, self.pattern(setting)))
            .collect();
        let bits: Vec<String> =
            header.fields.iter().filter(is_bits).map(|setting| self.bits(setting)).collect();
        if !bits.is_empty() {
            entries.push(format!("bits = [{}]", bits.join(", ")));
        }
        if header.kind == HeaderKind::Custom {
            entries.push(format!("bytes = '{}'", hex(&header.options)));
        } else if !header.options.is_empty() {
            entries.push(format!("options = '{}'", hex(&header.options)));
        }
        entries.extend(header.checksum.map(|mode| {
            let name = if header.kind == HeaderKind::Ipv4 { "header_checksum" } else { "checksum" };
            format!("{name} = '{}'", if mode == Checksum::Good { "good" } else { "bad" })
        }));
        entries
    }

    fn pattern(&self, Setting { field, pattern, follow }: &Setting) -> String {
        match follow {
            None => pattern.toml(field),
            Some(follow) => {
                format!("{{ {}, follow = {} }}", pattern.entry(field), self.follow(follow))
            }
        }
    }

    fn bits(&self, Setting { field, pattern, follow }: &Setting) -> String {
        let offset = field.bit_offset / 8;
        let skipped = field.bit_offset.cast_unsigned() % 8;
        let len = (skipped + field.bits).div_ceil(8);
        let mask = field.max() << (8 * len - skipped - field.bits);
        let mask = hex(&mask.to_be_bytes()[16 - len as usize..]);
        let follow = follow
            .as_ref()
            .map_or_else(String::new, |follow| format!(", follow = {}", self.follow(follow)));
        format!("{{ offset = {offset}, mask = '{mask}', {}{follow} }}", pattern.entry(field))
    }

    fn follow(&self, Follow { leader, pace }: &Follow) -> String {
        let path = self.path(*leader);
        match pace {
            Advance::Step => format!("'{path}'"),
            Advance::Round => format!("{{ field = '{path}', pace = 'round' }}"),
        }
    }

    fn path(&self, at: At) -> String {
        let kind = self.headers[at.0].kind;
        let alike =
            |headers: &[Header]| headers.iter().filter(|header| header.kind == kind).count();
        let index = if alike(&self.headers) > 1 {
            format!("[{}]", alike(&self.headers[..at.0]))
        } else {
            String::new()
        };
        format!("{}{index}.{}", kind.name(), self.setting(at).field.name)
    }
}

impl Pattern {
    /// In its shortest form.
    fn toml(&self, field: &FieldDef) -> String {
        match self {
            Self::Value(value) => quoted(field.kind, *value),
            Self::Values(values) => list(field, values),
            _ => format!("{{ {} }}", self.entry(field)),
        }
    }

    /// Key and value.
    fn entry(&self, field: &FieldDef) -> String {
        let text = |value: u128| quoted(field.kind, value);
        let counting = |way: &str, Count { start, step, count }: &Count| match step {
            // The default step is left out; others are written as the field's values are.
            1 => format!("{way} = {{ start = {}, count = {count} }}", text(*start)),
            _ => format!(
                "{way} = {{ start = {}, step = {}, count = {count} }}",
                text(*start),
                text(*step)
            ),
        };
        match self {
            Self::Value(value) => format!("value = {}", text(*value)),
            Self::Values(values) => format!("values = {}", list(field, values)),
            Self::Increment(parts) => counting("increment", parts),
            Self::Decrement(parts) => counting("decrement", parts),
            Self::Random { min, max, seed, count } => {
                let seed = seed.map_or_else(String::new, |seed| format!(", seed = {seed}"));
                let count = count.map_or_else(String::new, |count| format!(", count = {count}"));
                format!("random = {{ min = {}, max = {}{seed}{count} }}", text(*min), text(*max))
            }
        }
    }
}

impl Size {
    fn toml(&self) -> String {
        match self {
            Self::Fixed(size) => size.to_string(),
            Self::Increment { start, end, step } => {
                format!("{{ increment = {{ start = {start}, end = {end}, step = {step} }} }}")
            }
            Self::Random { min, max, seed } => {
                let seed = seed.map_or_else(String::new, |seed| format!(", seed = {seed}"));
                format!("{{ random = {{ min = {min}, max = {max}{seed} }} }}")
            }
            Self::Weighted(sizes) => {
                let sizes: Vec<String> = sizes
                    .iter()
                    .map(|(size, weight)| format!("{{ size = {size}, weight = {weight} }}"))
                    .collect();
                format!("{{ weighted = [{}] }}", sizes.join(", "))
            }
            Self::Genome(letters, z) if letters.contains('z') => {
                format!("{{ genome = '{letters}', z = {z} }}")
            }
            Self::Genome(letters, _) => format!("{{ genome = '{letters}' }}"),
        }
    }
}

impl Payload {
    fn toml(&self) -> String {
        match self {
            Self::Zeros => "'zeros'".to_owned(),
            Self::Pattern(bytes) => format!("{{ pattern = '{}' }}", hex(bytes)),
            Self::Hex(bytes) => format!("{{ hex = '{}' }}", hex(bytes)),
            Self::Text(text) => format!("{{ text = '{text}' }}"),
            Self::Increment(start) => format!("{{ increment = {{ start = {start} }} }}"),
            Self::Random(seed) => format!("{{ random = {{ seed = {seed} }} }}"),
        }
    }
}

fn list(field: &FieldDef, values: &[u128]) -> String {
    let values: Vec<String> = values.iter().map(|&value| quoted(field.kind, value)).collect();
    format!("[{}]", values.join(", "))
}

/// A value as users write it in TOML.
fn quoted(kind: FieldType, value: u128) -> String {
    match kind {
        FieldType::Mac => {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            format!("'{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}'")
        }
        FieldType::Ipv4 => format!("'{}'", Ipv4Addr::from(u32::try_from(value).expect("32 bits"))),
        FieldType::Ipv6 => format!("'{}'", Ipv6Addr::from(value)),
        // TOML's integers end at 2⁶³ − 1.
        FieldType::Number if value >> 63 != 0 => format!("'{value:#x}'"),
        FieldType::Number => value.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
