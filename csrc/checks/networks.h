// Networks in flat parameters, as the ops ppo_update and policy_act are given them.
#pragma once

#include <cstring>
#include <vector>

#include "../cpu/tiles/packed.h"
#include "mlp.h"
#include "tensor.h"

namespace rlgpu {

// One layer, and where its weights and biases begin in the parameters.
struct LayerNumbers {
  int64_t network, width, units, weight, bias;
};
constexpr int64_t kLayerNumbers = sizeof(LayerNumbers) / sizeof(int64_t);

// Returns the tiles that compute networks in a precision.
inline const tiles::Tiles& tiles_for(const char* op, Precision precision,
                                     const std::vector<tiles::GivenNetwork>& networks) {
  const bool halves = precision == Precision::kBf16;
  const tiles::Tiles* found = halves ? tiles::half_tiles() : tiles::tiles();
  TORCH_CHECK(found != nullptr, op, ": this CPU has no ", halves ? "AMX for bf16" : "AVX2",
              "; use the ops one by one");
  for (const tiles::GivenNetwork& network : networks) {
    for (const tiles::GivenLayer& layer : network.layers) {
      TORCH_CHECK_VALUE(!halves || std::max(layer.width, layer.units) <= tiles::kMostHalfDepth, op,
                        ": a layer of ", layer.width, " inputs and ", layer.units,
                        " units, at most ", tiles::kMostHalfDepth,
                        " are supported in bf16; use the ops one by one");
    }
  }
  return *found;
}

// Gives each network as many of the columns as its first layer is wide, unless all see all.
inline void read_columns(const char* op, at::IntArrayRef columns, int64_t num_observations,
                         std::vector<tiles::GivenNetwork>& networks) {
  size_t begin = 0;
  for (tiles::GivenNetwork& network : networks) {
    const size_t end = begin + static_cast<size_t>(network.layers.front().width);
    TORCH_CHECK_VALUE(end <= columns.size(), op, ": got ", columns.size(),
                      " columns, wanted one for each input of the networks, or none");
    network.columns.assign(columns.begin() + begin, columns.begin() + end);
    begin = end;
  }
  TORCH_CHECK_VALUE(begin == columns.size(), op, ": got ", columns.size(), " columns, wanted ",
                    begin, ", or none");
  for (const int64_t column : columns) {
    TORCH_CHECK_VALUE(column >= 0 && column < num_observations, op, ": a network sees column ",
                      column, " of ", num_observations, " observations");
  }
}

// Sorts layers into networks, and checks that they fit each other, these numbers of observations
// and of the distribution's parameters, and the flat parameters.
inline std::vector<tiles::GivenNetwork> read_networks(const char* op, at::IntArrayRef numbers,
                                                      at::IntArrayRef columns,
                                                      const at::Tensor& params,
                                                      int64_t num_observations,
                                                      int64_t num_outputs) {
  TORCH_CHECK_VALUE(!numbers.empty() && numbers.size() % kLayerNumbers == 0, op, ": layers has ",
                    numbers.size(), " numbers, wanted ", kLayerNumbers, " for each layer");
  const float* at = params.const_data_ptr<float>();
  const auto fits = [&](int64_t begin, int64_t size) {
    return begin >= 0 && size > 0 && begin + size <= params.numel();
  };
  std::vector<tiles::GivenNetwork> networks;
  for (size_t i = 0; i < numbers.size(); i += kLayerNumbers) {
    LayerNumbers x;
    std::memcpy(&x, numbers.data() + i, sizeof(x));
    if (x.network == static_cast<int64_t>(networks.size())) networks.emplace_back();
    TORCH_CHECK_VALUE(x.network + 1 == static_cast<int64_t>(networks.size()) && x.network < 2, op,
                      ": layers names network ", x.network,
                      ", wanted those of network 0, then those of network 1");
    auto& network = networks.back().layers;
    const int64_t seen = columns.empty() ? num_observations : x.width;
    const int64_t below = network.empty() ? seen : network.back().units;
    TORCH_CHECK_VALUE(
        x.width == below && fits(x.weight, x.width * x.units) && fits(x.bias, x.units), op,
        ": a layer of ", x.width, " inputs and ", x.units, " units, weights at ", x.weight,
        " and biases at ", x.bias, " does not follow ", below, " values or lie within ",
        params.numel(), " parameters");
    network.push_back({x.width, x.units, at + x.weight, at + x.bias, x.weight, x.bias});
  }
  const bool shared = networks.size() == 1;
  const int64_t first = networks[0].layers.back().units, last = networks.back().layers.back().units;
  TORCH_CHECK_VALUE(
      first == num_outputs + (shared ? 1 : 0) && last == (shared ? num_outputs + 1 : 1), op,
      ": the networks have ", first, " and ", last, " outputs, wanted ", num_outputs,
      " parameters and a value");
  if (!columns.empty()) read_columns(op, columns, num_observations, networks);
  return networks;
}

}  // namespace rlgpu
