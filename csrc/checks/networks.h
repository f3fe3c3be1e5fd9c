// Networks in flat parameters, as the ops ppo_update and policy_act are given them.
#pragma once

#include <cstring>
#include <vector>

#include "../cpu/tiles/packed.h"
#include "tensor.h"

namespace rlgpu {

// One layer, and where its weights and biases begin in the parameters.
struct LayerNumbers {
  int64_t network, width, units, weight, bias;
};
constexpr int64_t kLayerNumbers = sizeof(LayerNumbers) / sizeof(int64_t);

// Sorts layers into networks, and checks that they fit each other, these numbers of observations
// and of the distribution's parameters, and the flat parameters.
inline std::vector<std::vector<tiles::GivenLayer>> read_networks(const char* op,
                                                                 at::IntArrayRef numbers,
                                                                 const at::Tensor& params,
                                                                 int64_t num_observations,
                                                                 int64_t num_outputs) {
  TORCH_CHECK_VALUE(!numbers.empty() && numbers.size() % kLayerNumbers == 0, op, ": layers has ",
                    numbers.size(), " numbers, wanted ", kLayerNumbers, " for each layer");
  const float* at = params.const_data_ptr<float>();
  const auto fits = [&](int64_t begin, int64_t size) {
    return begin >= 0 && size > 0 && begin + size <= params.numel();
  };
  std::vector<std::vector<tiles::GivenLayer>> networks;
  for (size_t i = 0; i < numbers.size(); i += kLayerNumbers) {
    LayerNumbers x;
    std::memcpy(&x, numbers.data() + i, sizeof(x));
    if (x.network == static_cast<int64_t>(networks.size())) networks.emplace_back();
    TORCH_CHECK_VALUE(x.network + 1 == static_cast<int64_t>(networks.size()) && x.network < 2, op,
                      ": layers names network ", x.network,
                      ", wanted those of network 0, then those of network 1");
    auto& network = networks.back();
    const int64_t below = network.empty() ? num_observations : network.back().units;
    TORCH_CHECK_VALUE(
        x.width == below && fits(x.weight, x.width * x.units) && fits(x.bias, x.units), op,
        ": a layer of ", x.width, " inputs and ", x.units, " units, weights at ", x.weight,
        " and biases at ", x.bias, " does not follow ", below, " values or lie within ",
        params.numel(), " parameters");
    network.push_back({x.width, x.units, at + x.weight, at + x.bias, x.weight, x.bias});
  }
  const bool shared = networks.size() == 1;
  TORCH_CHECK_VALUE(networks[0].back().units == num_outputs + (shared ? 1 : 0) &&
                        networks.back().back().units == (shared ? num_outputs + 1 : 1),
                    op, ": the networks have ", networks[0].back().units, " and ",
                    networks.back().back().units, " outputs, wanted ", num_outputs,
                    " parameters and a value");
  return networks;
}

}  // namespace rlgpu
