// The same tests, compiled by nvcc and run on a GPU.
#include "test_cuda_gaussian.cpp"
