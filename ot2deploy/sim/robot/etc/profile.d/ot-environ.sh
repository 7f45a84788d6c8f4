export RUNNING_ON_PI=1
export OT_SMOOTHIE_ID=AMA
export PATH=$PATH:/var/user-packages/usr/bin
