export {
  elementCount,
  layOut,
  type SafetensorsDtype,
  type SafetensorsLayout,
  type TensorSpan,
  type TensorSpec,
} from './layout.js';
export {
  type Sink,
  type StreamedTensor,
  type WriteSafetensorsOptions,
  type WrittenSafetensors,
  writeSafetensors,
} from './writer.js';
