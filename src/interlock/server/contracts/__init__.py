"""The contracts of other platforms, each spoken by one small file: KServe V1, SageMaker, Vertex AI, Azure ML."""
