// Name and SHA-256 of the embedded model's files. The two lifted ones are what the lifting in this directory makes of the narrow
// one; any change to it shows here. `test/unit/embedded-lift.test.ts` makes both again and compares.

/** `<name>.safetensors` in models/nano are the narrow weights; the lifted files' names begin with it. */
export const embeddedName = 'nano-v0';

/** The narrow weights. */
export const narrowSha256 = 'bf18eb40127a2d5fe6fccf8ed7ee92806c2688231cbcd6762e56517904774570';

/** The lifted checkpoint. */
export const checkpointSha256 = '8e9eafa5edd8dd6bf6e15f760a2e9127d3f76af5b23eb558cdf7521ff3462fb6';
export const checkpointBytes = 892_969_320;

/** The lifted TAESD. */
export const taesdSha256 = 'f42d8ab47c908e9fb608c1c8e0b89627993d1531eb69a7e562694f7b13d2f13e';
export const taesdBytes = 4_903_190;
