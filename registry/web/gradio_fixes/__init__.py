"""Every mend of Gradio, and the only place that changes anything of it; the page itself uses Gradio as it is.

All were seen in Gradio 6.31.0, whose source the places name. A mend goes when its test passes without it.

| mend | why | place in Gradio | goes when |
|---|---|---|---|
| `refusals.Refusals` | a refused direct call is answered 500, as a fault of the server would be | `routes.py`: `predict` | `gr.Error` has a status of its own |
| `refusals.Refusals` | a stream that nobody waits for breaks its connection | `routes.py`: `queue_data_helper` | it answers 404 before it begins |
| `refusals.Refusals` | no answer that repeats a lone surrogate can be written; over MCP there comes none | `routes.py`: `ORJSONResponse`; `mcp.py` | such bodies are refused |
| `checks.wrong_call` | a name or a parameter that there is not ends in a `KeyError`, a `TypeError` or a `FnIndexInferError` that nobody catches | `routes.py`: `predict`, `simple_predict_post`, the function behind `/call/v2`, `component_server`; `route_utils.py`: `get_fn`; `gradio_client/utils.py`: `construct_args` | they are answered 404 and 422 |
| `checks.wrong_path` | the name of a file that no disk can hold ends in an `OSError`, an address that is none in `httpx.InvalidURL` or `IDNAError`, a line break behind a path in `httpx.InvalidURL` | `route_utils.py`: `file_response`, `secure_url_stream_response`, `get_root_url`; `routes.py`: `build_proxy_request` | they are answered 404 and 400 |
| `checks.wrong_form` | a boundary too long for the parser ends in a `FormParserError`, a form for a component without its fields in a `KeyError` | `route_utils.py`: `GradioMultiPartParser.parse`; `routes.py`: `get_item_or_file` | they are answered 400 |
| `uploads.mend` | a part of a form without a file name ends in a `TypeError` | `route_utils.py`: `upload_fn` | it is answered 422 |
| `blocks.Page` | whatever fails beside `gr.Error` is answered `null`: wrong values, wrong events, faults | `utils.py`: `error_payload`; `blocks.py`: `preprocess_data`, `validate_inputs`, `call_function`; `events.py`: `SelectData` | input errors are `gr.Error` with a text, and others have an id |
| `queues.bound_queue` | one bound for all queues: heavy runs that wait turn light ones away | `queueing.py`: `Queue.push` | `max_size` is of each concurrency id |
| `streams.Streams` | a call posted while a session's stream ends is lost; sessions that are over are kept | `routes.py`: `sse_stream`; `queueing.py`: `Queue.push` | a stream says which calls it will still answer |
| `stubs.unwritten_stubs` | at every import a type stub is written for each component, which takes 2 of 5 seconds | `component_meta.py`: `create_or_modify_pyi` | stubs are a part of its wheel |
| `sessions.lighten` | each session keeps the configuration of every component, 1.7 MB | `state_holder.py`: `SessionState.__init__` | it is made for deep links only |
| `tools.mend` | calls over MCP wait in the server's own threads, time out, are made by a client each, lose pictures and `data:` URLs, and run on when nobody listens | `mcp.py`: `GradioMCPServer` | each of them is |
| `inputs.unchecked` (beside this folder) | input components check a part of a value and answer `null` for the rest | `components/*.py`: `preprocess` | as for `blocks.Page` |
"""  # noqa: E501
