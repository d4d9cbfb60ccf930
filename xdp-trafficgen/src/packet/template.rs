//! Assembles a stack of headers to the bytes of a frame, and lists its lengths and checksums.

use std::ops::Range;

use super::{
    CoveredChecksum, FieldDef, HeaderKind, Layer, Payload, StackError, Window, checksums, encode,
    order, parts, parts::Shape,
};

/// A flow's frame with every field at its first value, and with correct lengths and checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The frame without its FCS.
    pub bytes: Vec<u8>,
    /// Bytes of all headers; the payload follows.
    pub header_len: usize,
    /// Where each layer starts, from the frame's start.
    pub offsets: Vec<usize>,
    /// The checksums in it that the user did not set, outer to inner.
    pub checksums: Vec<CoveredChecksum>,
    /// The lengths in it that follow the frame's and that the user did not set, outer to inner.
    pub lengths: Vec<LengthField>,
    /// One for each layer.
    shapes: Vec<Shape>,
}

impl Template {
    /// Whether the layer with this index has `field`: optional parts may be absent, and the `tpid`
    /// of a first header is outside of the frame.
    pub fn has(&self, layer: usize, field: &FieldDef) -> bool {
        self.shapes[layer].has(field)
            && first_bit(&self.shapes[layer], self.offsets[layer], field) >= 0
    }

    /// Where `field` of the header with this index is: a field that the frame was assembled with,
    /// or one of the header's table.
    pub fn window(&self, layer: usize, field: &FieldDef) -> Window {
        let first_bit = first_bit(&self.shapes[layer], self.offsets[layer], field);
        // Only a field that the frame has not got could start before it.
        Window::new(usize::try_from(first_bit).unwrap_or(0), field.bits)
    }
}

/// Two bytes that hold the number of bytes from `counted_from` to the frame's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthField {
    /// Where the two bytes are, from the frame's start.
    pub offset: usize,
    /// Where counting starts, from the frame's start.
    pub counted_from: usize,
}

impl LengthField {
    /// The one of a header that starts at byte `start`.
    fn of(kind: HeaderKind, start: usize) -> Option<Self> {
        let (field, counted_from) = kind.def().frame_length()?;
        Some(Self { offset: start + field.byte(), counted_from: start + counted_from })
    }
}

/// Builds the frame of `frame_len` bytes, FCS not counted.
///
/// # Errors
/// When the headers cannot be in this order, or do not fit.
pub fn assemble(
    layers: &[Layer],
    frame_len: usize,
    payload: &Payload,
) -> Result<Template, StackError> {
    order::check(layers)?;
    let layers: Vec<Layer> = layers.iter().map(parts::with_flags).collect();
    let shapes: Vec<Shape> = layers.iter().map(Shape::of).collect();
    let (mut bytes, headers) = encode_all(&layers, &shapes)?;
    let header_len = bytes.len();
    let size = frame_len + 4;
    if header_len > frame_len {
        return Err(StackError::TooSmall { headers: header_len, size });
    }
    bytes.resize(frame_len, 0);
    payload.fill(&mut bytes[header_len..])?;

    let mut lengths: Vec<LengthField> = layers
        .iter()
        .zip(&headers)
        .filter_map(|(layer, header)| LengthField::of(layer.kind, header.start))
        .collect();
    for length in &lengths {
        let value = u16::try_from(frame_len - length.counted_from)
            .map_err(|_| StackError::TooLarge { size })?;
        bytes[length.offset..length.offset + 2].copy_from_slice(&value.to_be_bytes());
    }
    let mut windows = Vec::new();
    for (index, (layer, shape)) in layers.iter().zip(&shapes).enumerate() {
        for (field, value) in &layer.set {
            let outside =
                || StackError::OutsideFrame { layer: index, field: field.name.to_string(), size };
            let first_bit = usize::try_from(first_bit(shape, headers[index].start, field))
                .map_err(|_| outside())?;
            let window = Window::new(first_bit, field.bits);
            if window.bytes.end > frame_len {
                return Err(outside());
            }
            window.write(&mut bytes, field.bits, *value);
            windows.push(window);
        }
    }
    let ours = |offset: usize| !windows.iter().any(|window| window.overlaps(&(offset..offset + 2)));
    lengths.retain(|length| ours(length.offset));
    let mut checksums = checksums::find(&layers, &headers, &bytes);
    checksums.retain(|checksum| ours(checksum.offset));
    // Inner ones first: outer ones may cover them.
    for checksum in checksums.iter().rev() {
        let value = checksum.compute(&bytes);
        bytes[checksum.offset..checksum.offset + 2].copy_from_slice(&value.to_be_bytes());
    }
    // A plan may have tens of thousands of templates.
    lengths.shrink_to_fit();
    checksums.shrink_to_fit();
    let offsets = headers.iter().map(|header| header.start).collect();
    Ok(Template { bytes, header_len, offsets, checksums, lengths, shapes })
}

/// The bytes of all headers, and the range of each.
fn encode_all(
    layers: &[Layer],
    shapes: &[Shape],
) -> Result<(Vec<u8>, Vec<Range<usize>>), StackError> {
    let (mut bytes, mut headers) = (Vec::new(), Vec::with_capacity(layers.len()));
    for (index, (layer, shape)) in layers.iter().zip(shapes).enumerate() {
        let next = layers.get(index + 1).map(|layer| layer.kind);
        let mut header = encode::header(layer, next).map_err(|max| StackError::OptionsTooLong {
            layer: index,
            kind: layer.kind,
            len: layer.options.len(),
            max,
        })?;
        for part in shape.absent.iter().rev() {
            header.drain(part.clone());
        }
        headers.push(bytes.len()..bytes.len() + header.len());
        bytes.extend(header);
    }
    Ok((bytes, headers))
}

fn first_bit(shape: &Shape, offset: usize, field: &FieldDef) -> i64 {
    8 * offset as i64 + shape.bit_offset(field)
}
