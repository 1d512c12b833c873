"""Reads with TensorBoard's own HParams plugin what `locus study` has written for it: hparams.py FOLDER, where the study
lies. Needs tensorboard from PyPI."""

import sys

from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.plugins.hparams import metadata

multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(sys.argv[1] + "/hparams")
multiplexer.Reload()
runs = multiplexer.PluginRunToTagToContent(metadata.PLUGIN_NAME)
assert runs, "no sessions"
for run, tags in sorted(runs.items()):
    start = metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
    end = metadata.parse_session_end_info_plugin_data(tags[metadata.SESSION_END_INFO_TAG])
    experiment = metadata.parse_experiment_plugin_data(tags[metadata.EXPERIMENT_TAG])
    assert {h.name for h in experiment.hparam_infos} == set(start.hparams), run
    assert run == f"{start.group_name}/seed-{int(start.hparams['seed'].number_value)}", run
    wanted = [m.name.tag for m in experiment.metric_infos]
    values = {tag: multiplexer.Tensors(run, tag)[0].tensor_proto.float_val[0] for tag in wanted}
    print(run, "status", end.status, dict(values))
