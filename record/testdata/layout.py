"""Writes layout.bin: the summary of a small layout as TensorBoard's own code makes it. Without tensorboard (PyPI) the file
stays as it is."""

import sys

try:
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata
    from tensorboard.util import tensor_util
except ImportError:
    print("layout.bin stays: tensorboard is not here")
    sys.exit()

layout = layout_pb2.Layout(
    category=[
        layout_pb2.Category(
            title="Modules",
            chart=[
                layout_pb2.Chart(title="loss", multiline=layout_pb2.MultilineChartContent(tag=[r"^loss/module_\d+$"])),
                layout_pb2.Chart(title="both", multiline=layout_pb2.MultilineChartContent(tag=["a", "b"])),
            ],
        ),
        layout_pb2.Category(title="Run"),
    ]
)
tensor = tensor_util.make_tensor_proto(layout.SerializeToString())
value = summary_pb2.Summary.Value(
    tag=metadata.CONFIG_SUMMARY_TAG, metadata=metadata.create_summary_metadata(), tensor=tensor
)
with open("layout.bin", "wb") as f:
    f.write(summary_pb2.Summary(value=[value]).SerializeToString(deterministic=True))
