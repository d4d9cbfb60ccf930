//! `show`: the frames that would be sent, made by the program that would send them.

use std::{
    collections::BTreeMap,
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
    plan::Program,
};

pub(super) fn show(options: &cli::Show) -> Result<(), CommandError> {
    let config = read_config(&options.config, &options.overrides)?;
    // Nothing is sent, so any interface will do.
    let plan = work_out(&config, Some(probe_kernel()?), default_route(true))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut pcap = options.pcap.as_deref().map(Pcap::create).transpose()?;
    for port in plan.ports {
        let flow = port.flow;
        let heading =
            format!("flow {}, port {} ({}), {} bytes on the wire", flow.name, port.name, port.interface, flow.size);
        writeln!(out, "{heading}").map_err(output_failed)?;
        let cpu = port.cpus.first().copied().unwrap_or(0);
        let workers = port.cpus.len();
        engine::pin_to(cpu)?;
        let generators = (0..workers)
            .map(|index| Generator::load_dry(&only_worker(&flow.program, index, cpu)))
            .collect::<Result<Vec<_>, _>>()?;
        let packets = flow.packets.map_or(options.packets, |packets| packets.min(options.packets));
        // The port's sequence: its workers take turns.
        for (number, generator) in (1..=packets).zip(generators.iter().cycle()) {
            let (_, frame) = generator.dry_run(&flow.template)?;
            writeln!(out, "{number:>8}  {}", frames::line(&frame)).map_err(output_failed)?;
            if let Some(pcap) = &mut pcap {
                pcap.write(&frame)?;
            }
        }
    }
    out.flush().map_err(output_failed)?;
    pcap.map_or(Ok(()), Pcap::finish)
}

/// The program of one worker, for whichever CPU this thread runs on.
fn only_worker(program: &Program, index: usize, cpu: u32) -> Program {
    let first = index as u64;
    let worker = program.workers.values().find(|worker| worker.first == first).copied().unwrap_or_default();
    Program { workers: BTreeMap::from([(cpu, worker)]), ..program.clone() }
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
