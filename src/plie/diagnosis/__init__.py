"""What is wrong inside of a network: dead, saturated and linear units, and where gradients end."""
