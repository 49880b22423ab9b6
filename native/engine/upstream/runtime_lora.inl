// LoRAs at run time: the engine's own adapter adds them while a graph runs and the weights stay as they are.
// The engine would read every file again for every picture and map its names itself; here its LoraModel is
// filled with what TypeScript has mapped, weight and scale multiplied into `up`.

namespace nd {
namespace upstream {

class FilledLora : public LoraModel {
 public:
  FilledLora(const lora::FileSpec& file, ggml_backend_t backend, SDVersion version)
      : LoraModel(file.id, backend, file.path, "", version) {}

  ggml_tensor* add(const std::string& name, ggml_type type, const std::vector<int64_t>& ne) {
    ggml_tensor* tensor = ggml_new_tensor(params_ctx, type, static_cast<int>(ne.size()), ne.data());
    lora_tensors["lora." + name] = tensor;
    return tensor;
  }
  void set(ggml_tensor* tensor, std::vector<float> values) {
    values_.emplace_back(tensor, std::move(values));
  }
  void finish() {
    if (!alloc_params_buffer()) throw EngineError(ErrorCode::OutOfMemory, "No memory for a LoRA.");
    std::vector<ggml_fp16_t> halves;
    for (const auto& [tensor, values] : values_) {
      const void* bytes = values.data();
      if (tensor->type == GGML_TYPE_F16) {
        halves.resize(values.size());
        ggml_fp32_to_fp16_row(values.data(), halves.data(), static_cast<int64_t>(values.size()));
        bytes = halves.data();
      }
      ggml_backend_tensor_set(tensor, bytes, 0, ggml_nbytes(tensor));
    }
    values_ = {};
    tensor_preprocessed = true;  // its names are the model's already
  }

 private:
  std::vector<std::pair<ggml_tensor*, std::vector<float>>> values_;
};

// Files that are in use, by content, and the adapters made of them.
class RuntimeLoras {
 public:
  std::map<std::string, std::shared_ptr<const lora::LoraFile>> files;
  uint64_t bytes = 0;
};

struct RuntimeTarget {
  const lora::TargetSpec& spec;
  const ggml_tensor* tensor;
  int64_t columns() const { return ggml_nelements(tensor) / spec.rows; }
  bool isConvolution() const { return ggml_n_dims(tensor) > 2; }
};

inline void addLowRank(FilledLora& lora, const RuntimeTarget& target, const std::string& key, int64_t rows,
                       const lora::LowRank<float>& factors) {
  const auto rank = static_cast<int64_t>(factors.rank);
  const int64_t* ne = target.tensor->ne;
  const bool conv = target.isConvolution();
  const ggml_type type = conv ? GGML_TYPE_F16 : GGML_TYPE_F32;
  const std::vector<int64_t> down =
      conv ? std::vector<int64_t>{ne[0], ne[1], ne[2], rank} : std::vector<int64_t>{ne[0], rank};
  const std::vector<int64_t> up =
      conv ? std::vector<int64_t>{1, 1, rank, rows} : std::vector<int64_t>{rank, rows};
  lora.set(lora.add(key + ".lora_down", type, down), factors.down);
  lora.set(lora.add(key + ".lora_up", type, up), factors.up);
}

// Slices of a fused tensor: the engine wants all of them, from the first row to the last.
inline void addSlices(FilledLora& lora, const RuntimeTarget& target,
                      std::vector<const lora::DeltaSpec*> deltas, const lora::LoraFile& file) {
  std::sort(deltas.begin(), deltas.end(),
            [](const auto* a, const auto* b) { return a->rowOffset < b->rowOffset; });
  const auto columns = static_cast<size_t>(target.columns());
  size_t index = 0;
  int64_t at = 0;
  const auto next = [&] {
    std::string key = index == 0 ? target.spec.tensor : target.spec.tensor + "." + std::to_string(index);
    ++index;
    return key;
  };
  const auto skip = [&](int64_t until) {
    if (until <= at) return;
    lora::LowRank<float> nothing;
    nothing.rank = 1;
    nothing.up.assign(static_cast<size_t>(until - at), 0.0F);
    nothing.down.assign(columns, 0.0F);
    addLowRank(lora, target, next(), until - at, nothing);
  };
  for (const lora::DeltaSpec* delta : deltas) {
    skip(delta->rowOffset);
    addLowRank(lora, target, next(), delta->rows, lora::lowRankOf<float>(*delta, file, columns));
    at = delta->rowOffset + delta->rows;
  }
  skip(target.spec.rows);
}

inline void addFactor(FilledLora& lora, const std::string& name, const lora::PartSpec& part,
                      const lora::LoraFile& file, double scale) {
  std::vector<float> values = file.floats(part);
  for (float& value : values) value = static_cast<float>(static_cast<double>(value) * scale);
  const int64_t rows = part.shape.at(0);
  const int64_t columns = static_cast<int64_t>(values.size()) / rows;
  lora.set(lora.add(name, GGML_TYPE_F32, {columns, rows}), std::move(values));
}

// One target's deltas of one file. lib/weights gives only kinds that this way has.
inline void addTarget(FilledLora& lora, const RuntimeTarget& target,
                      const std::vector<const lora::DeltaSpec*>& deltas, const lora::LoraFile& file) {
  const lora::DeltaSpec& first = *deltas.front();
  if (first.kind == "lora") {
    addSlices(lora, target, deltas, file);
  } else if (first.kind == "loha" && deltas.size() == 1 && first.parts.count("t1") == 0) {
    const std::string& key = target.spec.tensor;
    addFactor(lora, key + ".hada_w1_a", first.parts.at("w1_a"), file, first.multiplier * first.scale);
    addFactor(lora, key + ".hada_w1_b", first.parts.at("w1_b"), file, 1);
    addFactor(lora, key + ".hada_w2_a", first.parts.at("w2_a"), file, 1);
    addFactor(lora, key + ".hada_w2_b", first.parts.at("w2_b"), file, 1);
  } else if (first.kind == "full" && deltas.size() == 1) {
    std::vector<float> values = file.floats(first.parts.at("diff"));
    if (static_cast<int64_t>(values.size()) != ggml_nelements(target.tensor))
      throw EngineError(ErrorCode::ModelCorrupt, "A difference does not fit \"" + target.spec.tensor + "\".");
    for (float& value : values) value = static_cast<float>(static_cast<double>(value) * first.multiplier);
    const std::vector<int64_t> ne(target.tensor->ne, target.tensor->ne + ggml_n_dims(target.tensor));
    lora.set(lora.add(target.spec.tensor + ".diff", GGML_TYPE_F32, ne), std::move(values));
  } else {
    throw EngineError(ErrorCode::InvalidOption,
                      "A delta of kind " + first.kind + " cannot be added at run time.");
  }
}

}  // namespace upstream

lora::WeightsResult Model::applyRuntime(const lora::WeightsPlan& plan, Job& job) {
  using upstream::FilledLora;
  const int64_t begun = ggml_time_us();
  upstream::ActiveJob active{job, Phase::Lora};
  return upstream::runOperation(active, "set the LoRAs", [&] {
    StableDiffusionGGML& sd = impl_->sd;
    auto next = std::make_shared<upstream::RuntimeLoras>();
    struct Component {
      bool (*owns)(const std::string&);
      ggml_backend_t backend;
      std::vector<std::shared_ptr<LoraModel>> loras;
    };
    std::array<Component, 3> components{{{is_cond_stage_model_name, sd.clip_backend, {}},
                                         {is_diffusion_model_name, sd.backend, {}},
                                         {is_first_stage_model_name, sd.vae_backend, {}}}};
    lora::WeightsResult result;
    for (size_t index = 0; index < plan.files.size(); ++index) {
      const lora::FileSpec& spec = plan.files[index];
      job.throwIfCancelled();
      std::shared_ptr<const lora::LoraFile>& file = next->files[spec.id];
      if (impl_->runtimeLoras && impl_->runtimeLoras->files.count(spec.id) != 0)
        file = impl_->runtimeLoras->files.at(spec.id);
      else
        file = std::make_shared<const lora::LoraFile>(spec);
      for (Component& component : components) {
        std::shared_ptr<FilledLora> filled;
        for (const lora::TargetSpec& target : plan.targets) {
          std::vector<const lora::DeltaSpec*> deltas;
          for (const lora::DeltaSpec& delta : target.deltas)
            if (delta.file == index) deltas.push_back(&delta);
          const auto found = sd.tensors.find(target.tensor);
          if (deltas.empty() || !component.owns(target.tensor) || found == sd.tensors.end()) continue;
          if (!filled) filled = std::make_shared<FilledLora>(spec, component.backend, sd.version);
          upstream::addTarget(*filled, {target, found->second}, deltas, *file);
          ++result.merged;
        }
        if (!filled) continue;
        filled->finish();
        next->bytes += filled->get_params_buffer_size();
        component.loras.push_back(filled);
      }
    }
    job.throwIfCancelled();
    const auto adapterOf = [](const Component& component) -> std::shared_ptr<WeightAdapter> {
      if (component.loras.empty()) return nullptr;
      return std::make_shared<MultiLoraAdapter>(component.loras);
    };
    sd.cond_stage_model->set_weight_adapter(adapterOf(components[0]));
    sd.diffusion_model->set_weight_adapter(adapterOf(components[1]));
    sd.first_stage_model->set_weight_adapter(adapterOf(components[2]));
    impl_->runtimeLoras = plan.targets.empty() ? nullptr : next;
    result.bytes = next->bytes;
    result.seconds = static_cast<double>(ggml_time_us() - begun) / 1e6;
    return result;
  });
}

}  // namespace nd
