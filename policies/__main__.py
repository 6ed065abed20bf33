"""Entry point of the policy pack: Pulumi runs this file in policies/venv with this folder as its cwd."""

from rules.pack import serve

serve()
