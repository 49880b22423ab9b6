// Name and SHA-256 of the embedded model's files. The two lifted ones are what the lifting in this directory makes of the narrow
// one; any change to it shows here. `test/unit/embedded-lift.test.ts` makes both again and compares.

/** `<name>.safetensors` in models/nano are the narrow weights; the lifted files' names begin with it. */
export const embeddedName = 'nano-v1';

/** The narrow weights. */
export const narrowSha256 = '07a641ee17a01463e9e49fe3e741b8caa9e0cfc3699b5b87380bbac585c1426e';

/** The lifted checkpoint. */
export const checkpointSha256 = 'c4cfc8c6bf6c2a2ca56bd3c09312b4ab38499b53407ffd57e531d4788ef01172';
export const checkpointBytes = 892_969_320;

/** The lifted TAESD. */
export const taesdSha256 = '611b92e8e1a70ca248519c0ffaec91bb0cf0fcc1605973e46db9325c80f53ced';
export const taesdBytes = 4_903_190;
