"""Start the server as the README of sagemaker-inference teaches it."""

from sagemaker_inference import model_server

model_server.start_model_server()
