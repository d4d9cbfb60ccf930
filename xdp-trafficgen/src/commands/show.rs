//! `show`: the frames that would be sent, made by the program that would send them.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use pcap_file::{
    DataLink, PcapError,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::{
    cli,
    commands::{
        CommandError, probe_kernel, read_config,
        send::{default_route, output_failed, work_out},
    },
    engine,
    kernel::Generator,
    output::frames,
    plan::{PortPlan, schedule},
};

pub(super) fn show(options: &cli::Show) -> Result<(), CommandError> {
    let mut config = read_config(&options.config)?;
    // The whole of each flow's sequence, in order: what one worker would send.
    for port in &mut config.ports {
        port.cpus = None;
    }
    // Nothing is sent, so any interface will do.
    let plan = work_out(&config, Some(probe_kernel()?), default_route(true))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut pcap = options.pcap.as_deref().map(Pcap::create).transpose()?;
    for port in plan.ports {
        let heading = format!("port {} ({})", port.name, port.interface);
        writeln!(out, "{heading}").map_err(output_failed)?;
        engine::pin_to(port.cpus.first().copied().unwrap_or(0))?;
        let mut write = |number: u64, flow: usize, frame: &[u8]| -> Result<(), CommandError> {
            let name = &port.flows[flow].name;
            writeln!(out, "{number:>8}  {name}  {}", frames::line(frame)).map_err(output_failed)?;
            if let Some(pcap) = &mut pcap {
                pcap.write(frame)?;
            }
            Ok(())
        };
        each_frame(&port, options.packets, &mut write)?;
    }
    out.flush().map_err(output_failed)?;
    pcap.map_or(Ok(()), Pcap::finish)
}

/// Calls `look` with the number (from 1), the flow and the bytes of the port's first `count` frames, as its only worker
/// would send them.
fn each_frame(
    port: &PortPlan,
    count: u64,
    look: &mut impl FnMut(u64, usize, &[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let generator = Generator::load_dry(&port.program)?;
    let weights: Vec<u32> = port.flows.iter().map(|flow| flow.weight).collect();
    let mut left: Vec<Option<u64>> = port.flows.iter().map(|flow| flow.packets).collect();
    let mut number = 0;
    while let Some(phase) = schedule::phase(&weights, &left) {
        generator.set_schedule(0, &port.program, &phase.turns)?;
        let mut sent = 0;
        for &turn in phase.turns.iter().cycle() {
            if phase.frames == Some(sent) {
                break;
            }
            if number == count {
                return Ok(());
            }
            let (_, frame) = generator.dry_run(&port.program.frame)?;
            (number, sent) = (number + 1, sent + 1);
            look(number, turn as usize, &frame)?;
            if let Some(left) = &mut left[turn as usize] {
                *left -= 1;
            }
        }
    }
    Ok(())
}

/// A pcap file: a frame every microsecond.
struct Pcap {
    writer: PcapWriter<BufWriter<File>>,
    path: String,
    written: u64,
}

impl Pcap {
    fn create(path: &Path) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        let file =
            File::create(path).map_err(|source| CommandError::File { action: "write", path: name.clone(), source })?;
        let header = PcapHeader { datalink: DataLink::ETHERNET, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(BufWriter::new(file), header).map_err(failed(&name))?;
        Ok(Self { writer, path: name, written: 0 })
    }

    fn write(&mut self, frame: &[u8]) -> Result<(), CommandError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let packet = PcapPacket::new(Duration::from_micros(self.written), length, frame);
        self.writer.write_packet(&packet).map_err(failed(&self.path))?;
        self.written += 1;
        Ok(())
    }

    fn finish(self) -> Result<(), CommandError> {
        let Self { writer, path, .. } = self;
        writer.into_writer().into_inner().map(drop).map_err(|error| CommandError::File {
            action: "write",
            path,
            source: error.into_error(),
        })
    }
}

fn failed(path: &str) -> impl FnOnce(PcapError) -> CommandError {
    let path = path.to_owned();
    move |error| CommandError::File { action: "write", path, source: std::io::Error::other(error) }
}
