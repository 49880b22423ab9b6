// Name and SHA-256 of the embedded model's files. The two lifted ones are what the lifting in this directory makes of the narrow
// one; any change to it shows here. `test/unit/embedded-lift.test.ts` makes both again and compares.

/** `<name>.safetensors` in models/nano are the narrow weights; the lifted files' names begin with it. */
export const embeddedName = 'nano-v2';

/** The narrow weights. */
export const narrowSha256 = '43f98d6c1d8a0ac7d27297b5dde4a96b1e31a3af40a40daf0cd27e33be823ab3';

/** The lifted checkpoint. */
export const checkpointSha256 = '9251ab9500058c4f0627839163e12122788bf0c48484c12de008e2e1f9f1df12';
export const checkpointBytes = 892_969_320;

/** The lifted TAESD. */
export const taesdSha256 = 'a5067c0415ef34a6c6cca573135c31db2d01db472969fa3d56a6243e10873a41';
export const taesdBytes = 4_903_190;
