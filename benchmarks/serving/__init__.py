"""The image under load, compared with other model servers; and as a serverless endpoint."""
