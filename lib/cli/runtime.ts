import type { GenerateEvent, Img2ImgRequest, InpaintRequest, Txt2ImgRequest } from '../pipeline/index.js';
import type { LoadModelOptions, ModelInfo } from '../sdk/types.js';

/** What the picture commands use of a model. */
export interface CliModel {
  readonly info: Pick<ModelInfo, 'name' | 'architecture'>;
  txt2imgStream(request: Txt2ImgRequest): AsyncIterable<GenerateEvent>;
  img2imgStream(request: Img2ImgRequest): AsyncIterable<GenerateEvent>;
  inpaintStream(request: InpaintRequest): AsyncIterable<GenerateEvent>;
  dispose(options?: { readonly abort?: boolean }): Promise<void>;
}

/** What the picture commands use of a runtime. */
export interface CliRuntime {
  loadModel(options: LoadModelOptions): Promise<CliModel>;
  dispose(options?: { readonly abort?: boolean }): Promise<void>;
}
