"""The MXNet face: `import evergraph.mxnet as mx`."""
